// clean
class Bucket {
  constructor(rate) { this.tokens = rate; this.last = Date.now(); }
  take() { return this.tokens-- > 0; }
}
class RateLimiter {
  #buckets = Object.create(null);
  allow(address) {
    const bucket = this.#buckets[address] ??= new Bucket(10);
    return bucket.take();
  }
  sweep() {
    for (const address of Object.keys(this.#buckets)) delete this.#buckets[address];
  }
}
const limiter = new RateLimiter();
exports.step = i => {
  limiter.allow(`10.0.${i >> 8}.${i & 255}`);
  if (i % 25 === 24) limiter.sweep();
};
