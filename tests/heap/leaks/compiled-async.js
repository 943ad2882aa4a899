// leak: array Array static Repository.audit has 400 entries
"use strict";
// As TypeScript writes an async function for older engines.
var __awaiter = (this && this.__awaiter) || function (thisArg, _arguments, P, generator) {
  return new (P || (P = Promise))(function (resolve, reject) {
    function step(result) { result.done ? resolve(result.value) : Promise.resolve(result.value).then(fulfilled, reject); }
    function fulfilled(value) { step(generator.next(value)); }
    step((generator = generator.apply(thisArg, _arguments || [])).next());
  });
};
class Repository {
  save(entity) { // HERE
    return __awaiter(this, void 0, void 0, function* () {
      yield Promise.resolve();
      Repository.audit.push({ at: Date.now(), entity });
    });
  }
}
Repository.audit = [];
const repository = new Repository();
exports.step = async (i) => {
  await repository.save({ id: i, name: 'entity ' + i });
};
