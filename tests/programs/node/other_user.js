// Another user from the first line on, as a server that binds its port as root.
'use strict';
process.setgid(65534);
process.setuid(65534);
