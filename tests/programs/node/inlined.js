// What `inner` allocates, V8 tells of `outer` alone once it has inlined the call; with --allow-natives-syntax that is
// at a known moment. `objects` is reached on two ways.
'use strict';
const kept = [];
function inner(size) { return Buffer.allocUnsafeSlow(size); }
function outer(size) { return inner(size); }
function objects(count) {
  for (let i = 0; i < count; i++) kept.push({ name: 'kept' + i, list: new Array(100).fill(i) });
}
function oneWay(count) { objects(count); }
function otherWay(count) { objects(count); }

%PrepareFunctionForOptimization(inner);
%PrepareFunctionForOptimization(outer);
for (let i = 0; i < 100; i++) outer(5000);
%OptimizeFunctionOnNextCall(outer);
for (let i = 0; i < 100; i++) kept.push(outer(50000));
oneWay(10000);
otherWay(10000);

