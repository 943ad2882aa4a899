// clean
let state = {items: []};
function dispatch(item) {
  state = {...state, items: [...state.items.slice(-20), item]};
}
exports.step = i => dispatch({id: i, text: 'item ' + i});
