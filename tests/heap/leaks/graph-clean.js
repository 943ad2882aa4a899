// clean
const graph = {nodes: new Map(), edges: []};
function addNode(id) {
  const node = {id, in: [], out: []};
  graph.nodes.set(id, node);
  return node;
}
function link(from, to) {
  const edge = {from, to};
  from.out.push(edge);
  to.in.push(edge);
  graph.edges.push(edge);
}
// A graph is made for each piece of work, and forgotten with it.
exports.step = i => {
  graph.nodes.clear();
  graph.edges.length = 0;
  let last = addNode('first' + i);
  for (let n = 0; n < 50; n++) {
    const node = addNode('n' + n);
    link(last, node);
    last = node;
  }
};
