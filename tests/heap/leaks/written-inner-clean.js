// clean
function collect(Base) {
  var mounted = [];
  function changed() { return mounted.map(one => one.id).concat([]).length; }
  var View = (function (Base) {
    function View(id) { Base.call(this); this.id = id; }
    View.prototype.mount = function () { mounted.push(this); changed(); };
    View.prototype.unmount = function () { mounted.splice(mounted.indexOf(this), 1); changed(); };
    View.prototype.base = () => Base;
    return View;
  })(Base);
  return View;
}
const View = collect(function Base() {});
exports.step = i => { const view = new View(i); view.mount(); view.unmount(); };
