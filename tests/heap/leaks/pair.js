// leak: map Map variable byId has 400 entries
const byId = new Map();
const byMail = new Map();
function addUser(i) { byId.set(i, {id: i, name: 'user ' + i, roles: ['a']}); } // HERE
function setMail(i) { byMail.set('m' + i, {mail: 'm' + i}); }
exports.step = i => { addUser(i); setMail(i); };
