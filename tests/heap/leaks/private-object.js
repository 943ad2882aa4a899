// leak: object Object RateLimiter.#buckets has 400 entries
class Bucket {
  constructor(rate) { this.tokens = rate; this.last = Date.now(); }
  take() { return this.tokens-- > 0; }
}
class RateLimiter {
  #buckets = Object.create(null);
  allow(address) { // HERE
    const bucket = this.#buckets[address] ??= new Bucket(10);
    return bucket.take();
  }
}
const limiter = new RateLimiter();
exports.step = i => { limiter.allow(`10.0.${i >> 8}.${i & 255}`); };
