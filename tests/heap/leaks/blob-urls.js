// leak: blob-urls
function link(i) { // HERE
  return URL.createObjectURL(new Blob(['text of the document number ' + i]));
}
exports.step = link;
