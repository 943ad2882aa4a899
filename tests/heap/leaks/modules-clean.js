// clean
exports.step = () => require('util').inspect({});
