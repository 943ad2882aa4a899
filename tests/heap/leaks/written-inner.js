// leak: array Array variable mounted has 400 entries
function collect(Base) {
  var mounted = [];
  function changed() { return mounted.map(one => one.id).concat([]).length; }
  var View = (function (Base) {
    function View(id) { Base.call(this); this.id = id; }
    View.prototype.mount = function () { mounted.push(this); changed(); }; // HERE
    View.prototype.unmount = function () { mounted.splice(mounted.indexOf(this), 1); changed(); };
    View.prototype.base = () => Base;
    return View;
  })(Base);
  return View;
}
const View = collect(function Base() {});
exports.step = i => { new View(i).mount(); };
