// leak: object: both functions name it and put keys together; only one adds.
const shop = {orders: {}};
class Order {
  constructor(i) {
    this.of = [i];
  }
}
function place(i) { // HERE
  for (let n = 0; n < 3; n++) shop.orders['order-' + i + '-' + n] = new Order(i);
}
function look(i) {
  const found = Object.assign({}, {order: shop.orders['order-' + i + '-0']});
  return found;
}
exports.step = i => {
  place(i);
  for (let n = 0; n < 3; n++) look(i);
};
