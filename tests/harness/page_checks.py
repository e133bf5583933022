"""Scripts that check a page in the browser: words, widths, contrast and names. Each returns the violations."""

BROKEN_WORDS = r"""
const hidden = '.unseen, pre, canvas, option';
const broken = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, parent = node.parentElement;
  if (!parent.checkVisibility() || parent.closest(hidden)) continue;
  for (const word of node.data.matchAll(/[\p{L}\p{N}_.:@]+/gu)) {
    // No column has room for such a word.
    if (word[0].length > 40) continue;
    const range = document.createRange();
    range.setStart(node, word.index);
    range.setEnd(node, word.index + word[0].length);
    const lines = new Set([...range.getClientRects()].filter(r => r.width).map(r => Math.round(r.top)));
    if (lines.size > 1) broken.push(word[0]);
  }
}
return broken;
"""
"Words that are broken within a line."

WIDER = r"""
return [document.documentElement, ...document.querySelectorAll('main .card')]
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
  .map(e => e.id || e.className);
"""
"Parts whose content is wider than they are."

FAINT = r"""
const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
function rgba(color) {
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = color;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data];
}
function light(color) {
  const [r, g, b] = color.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function behind(element) {
  for (; element; element = element.parentElement) {
    const color = rgba(getComputedStyle(element).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255];
}
const faint = [];
for (const element of document.querySelectorAll('body *')) {
  const hasText = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!hasText || !element.checkVisibility() || element.matches('.unseen, option, :disabled')) continue;
  const style = getComputedStyle(element), size = parseFloat(style.fontSize);
  const one = light(rgba(style.color)), two = light(behind(element));
  const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  if (ratio < (isLarge ? 3 : 4.5)) faint.push([element.className, element.innerText.slice(0, 40), ratio.toFixed(2)]);
}
return faint;
"""
"Texts with less contrast to their background than WCAG 2.2 requires (1.4.3, level AA)."

NAMELESS = r"""
const controls = 'button, input, select, a, [role=img], section, table, nav, form, dialog';
function hasName(e) {
  return e.getAttribute('aria-label') || e.labels?.length || e.querySelector('caption')
    || document.getElementById(e.getAttribute('aria-labelledby')) || (e.matches('button, a') && e.innerText);
}
return [...document.querySelectorAll(controls)].filter(e => e.checkVisibility() && !hasName(e))
  .map(e => e.outerHTML.slice(0, 100));
"""
"Controls, images and landmarks without an accessible name."
