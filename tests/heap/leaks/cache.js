// leak: map
const pages = {cache: new Map()};
function page(i) { // HERE
  const url = '/page/' + i;
  if (!pages.cache.has(url)) pages.cache.set(url, {html: '<p>' + i});
  return pages.cache.get(url);
}
exports.step = page;
