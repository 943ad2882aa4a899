// Ends in the way that its argument names.
'use strict';
class Kept {
  constructor(number) { this.number = number; }
}
globalThis.kept = Array.from({ length: 1000 }, (_, number) => new Kept(number));
switch (process.argv[2]) {
  case 'exits':
    process.exit(7);
  case 'throws':
    throw new Error('on purpose');
  case 'fills': {
    const fill = () => {
      for (let i = 0; i < 20000; i++) globalThis.kept.push(new Kept(i));
      setImmediate(fill);
    };
    fill();
  }
}
