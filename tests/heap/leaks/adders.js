// leak: array Array variable events has 400 entries
var events = [];
function audit(user) { events.push({user, action: 'login', ip: '1.2.3.4'}); } // HERE
function metric(name, value) { if (value < 0) events.push({name, value}); }
exports.step = i => { audit('u' + i); metric('m', i); };
