const data = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
// Names come from the program: what would not be seen, or would turn the text around it, is spelled out.
const plain = text => String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, c => '\\u' + c.codePointAt(0).toString(16).padStart(4, '0'));
const make = (tag, text, parent, name) => { const e = document.createElement(tag); e.textContent = plain(text); if (name) e.className = name; parent?.append(e); return e; };
function bytes(n) {
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  const size = Math.abs(n);
  if (size < 1024) return n + ' B';
  let value = size / 1024, unit = 0;
  while (value >= 999.5 && unit < 3) { value /= 1024; unit++; }
  return (n < 0 ? '-' : '') + value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0) + ' ' + units[unit];
}
const count = n => n.toLocaleString('en-US');
// One step of a way.
const step = (s, parent) => { const e = make('li', s.by ? s.by + ' ' : '', parent); make('b', s.what, e); if (s.times > 1) make('small', ` ${count(s.times)} links`, e); return e; };
// A stack, innermost frame first.
function stack(frames, title, parent) {
  const details = make('details', '', parent, 'tree');
  const inner = frames.find(frame => frame.near === 'own') ?? frames[0];
  make('summary', `${title}${title && ': '}${inner.function || 'function'}() ${inner.file}${inner.line ? ':' + inner.line : ''}`, details);
  const list = make('ol', '', details, 'way');
  for (const frame of frames) { const item = make('li', '', list); make('b', `${frame.function || 'function'}() `, item); make('small', `${frame.file}${frame.line ? `:${frame.line}:${frame.column}` : ''}`, item); }
}
// A tree of retainers: [edge, what, id, distance, retained, [retainers…], more]. What is inside is made when it is opened.
function retainers(tree, title, parent) {
  const details = make('details', '', parent, 'tree');
  make('summary', title, details);
  let filled = false;
  details.ontoggle = () => {
    if (!details.open || filled) return;
    filled = true;
    const list = make('ul', '', details);
    for (const [edge, what, id, distance, retained, above, more] of tree) {
      const item = make('li', '', list);
      const text = `${edge} of ${what} @${id}`;
      if (above.length) retainers(above, text, item); else make('span', text, item);
      make('small', ` ${distance >= 0 && distance < 1e8 ? `distance ${count(distance)}, ` : ''}retains ${bytes(retained)}${more ? `; ${count(more)} more point to it` : ''}`, item.querySelector('summary') ?? item);
    }
  };
  return details;
}
