// leak: map Map variable graph.nodes has 400 entries
const graph = {nodes: new Map(), edges: []};
let last;
function addNode(id) { // HERE
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
exports.step = i => {
  const node = addNode('n' + i);
  if (last) link(last, node);
  last = node;
};
