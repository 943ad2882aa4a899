// leak: array Array variable state.items has 400 entries
let state = {items: [], user: null};
function reduce(s, action) { // HERE
  return {...s, items: [...s.items, action.item]};
}
function dispatch(action) { state = reduce(state, action); }
exports.step = i => dispatch({type: 'add', item: {id: i, text: 'item ' + i}});
