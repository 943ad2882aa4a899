// leak: array Array variable store.#state.todos has 400 entries
class Store {
  #state = {todos: [], filter: 'all'};
  listeners = [];
  dispatch(action) {
    this.#state = this.reducer(this.#state, action);
    for (const f of this.listeners) f(this.#state);
  }
  reducer(state, action) { // HERE
    switch (action.type) {
      case 'add': return {...state, todos: state.todos.concat([{text: action.text, done: false}])};
      default: return state;
    }
  }
}
const store = new Store();
exports.step = i => store.dispatch({type: 'add', text: 'todo ' + i});
