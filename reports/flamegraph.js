/* Zoom, search, details and keyboard of every flame graph in the document. */
(function () {
  'use strict';
  var XHTML = 'http://www.w3.org/1999/xhtml', SVG = 'http://www.w3.org/2000/svg';

  function html(tag, text) {
    var e = document.createElementNS(XHTML, tag);
    if (text) e.textContent = text;
    return e;
  }

  function showTime(ns) {
    var ms = ns / 1e6;
    if (ms >= 1000) return (ms / 1000).toPrecision(3) + ' s';
    return ms >= 1 ? ms.toPrecision(3) + ' ms' : (ms * 1000).toPrecision(3) + ' us';
  }

  function setup(svg) {
    var total = Number(svg.getAttribute('data-total-ns')), zoomed = 0, current = -1, wanted = '';
    /* Frames stand in the order of a walk: those below frame i are i + 1 .. frames[i].end - 1. */
    var frames = Array.prototype.map.call(svg.querySelectorAll('svg.f'), function (el) {
      var title = el.querySelector('title').textContent;
      return { el: el, x: parseFloat(el.getAttribute('x')), w: parseFloat(el.getAttribute('width')),
        depth: Number(el.getAttribute('data-d')), title: title, name: title.split('\n')[0],
        lower: title.split('\n')[0].toLowerCase(), text: el.querySelector('text'), parent: -1, end: 0, shown: 0 };
    });
    if (!frames.length) return;
    var open = [];
    frames.forEach(function (f, i) {
      while (open.length && frames[open[open.length - 1]].depth >= f.depth) frames[open.pop()].end = i;
      if (open.length) f.parent = open[open.length - 1];
      open.push(i);
    });
    open.forEach(function (i) { frames[i].end = frames.length; });

    var bar = html('div'), input = html('input'), reset = html('button', 'Reset'), says = html('output');
    bar.setAttribute('class', 'fp-tools');
    input.setAttribute('type', 'search');
    input.setAttribute('placeholder', 'Search frames  ( / )');
    input.setAttribute('aria-label', 'Search frames');
    reset.setAttribute('type', 'button');
    reset.setAttribute('title', 'Esc');
    says.setAttribute('aria-live', 'polite');
    bar.appendChild(input);
    bar.appendChild(reset);
    bar.appendChild(says);
    var place = svg.querySelector('foreignObject');
    if (place) place.appendChild(bar);
    else svg.parentNode.insertBefore(bar, svg);

    var ruler = document.createElementNS(SVG, 'text'), letter = 7.3;
    function measure() {
      ruler.textContent = 'MMMMMMMMMMMMMMMMMMMM';
      ruler.setAttribute('visibility', 'hidden');
      svg.appendChild(ruler);
      letter = (ruler.getComputedTextLength() || 146) / 20;
      svg.removeChild(ruler);
    }

    function fit() {
      var width = svg.getBoundingClientRect().width;
      if (!width) return;
      frames.forEach(function (f) {
        var room = Math.floor((f.shown / 100 * width - 7) / letter), text = '';
        if (room >= 3) text = f.name.length <= room ? f.name : f.name.slice(0, room - 1) + '\u2026';
        if (!f.text && text) {
          f.text = document.createElementNS(SVG, 'text');
          f.text.setAttribute('x', '4');
          f.text.setAttribute('y', '12.5');
          f.el.appendChild(f.text);
        }
        if (f.text) f.text.textContent = text;
      });
    }

    function zoom(i) {
      var to = frames[i], scale = 100 / to.w;
      zoomed = i;
      frames.forEach(function (f, k) {
        var above = k < i && f.end > i, below = k >= i && k < to.end;
        f.el.style.display = above || below ? '' : 'none';
        f.el.classList.toggle('anc', above);
        f.shown = above ? 100 : below ? f.w * scale : 0;
        f.el.setAttribute('x', (above ? 0 : (f.x - to.x) * scale).toFixed(4) + '%');
        f.el.setAttribute('width', f.shown.toFixed(4) + '%');
      });
      fit();
    }

    function search(word) {
      var hits = 0, share = 0, until = 0, needle = word.toLowerCase();
      wanted = word;
      svg.classList.toggle('searching', !!needle);
      frames.forEach(function (f, i) {
        var hit = !!needle && f.lower.indexOf(needle) >= 0;
        f.el.classList.toggle('hit', hit);
        if (!hit) return;
        hits++;
        if (i < until) return; /* below a hit: its time is counted there */
        share += f.w;
        until = f.end;
      });
      svg.setAttribute('data-hits', String(hits));
      says.textContent = needle ? hits + ' frames match, ' + share.toFixed(1) + ' % of the time (' +
        showTime(total * share / 100) + ')' : '';
    }

    function select(i) {
      if (i < 0 || i >= frames.length) return;
      if (current >= 0) frames[current].el.classList.remove('cur');
      current = i;
      frames[i].el.classList.add('cur');
      says.textContent = frames[i].title.replace('\n', ': ').replace(/\n/g, ', ');
    }

    function sibling(i, step) {
      var k;
      for (k = i + step; k >= 0 && k < frames.length; k += step)
        if (frames[k].depth === frames[i].depth && frames[k].parent === frames[i].parent) return k;
      return i;
    }

    function clear() {
      input.value = '';
      search('');
      zoom(0);
      if (current >= 0) frames[current].el.classList.remove('cur');
      current = -1;
    }

    frames.forEach(function (f, i) {
      f.el.addEventListener('click', function () { zoom(i); select(i); });
      f.el.addEventListener('mouseenter', function () {
        says.textContent = f.title.replace('\n', ': ').replace(/\n/g, ', ');
      });
    });
    svg.addEventListener('mouseleave', function () { search(wanted); });
    input.addEventListener('input', function () { search(input.value); });
    input.addEventListener('keydown', function (e) {
      if (e.key === 'Escape') clear();
      e.stopPropagation();
    });
    reset.addEventListener('click', clear);
    svg.setAttribute('tabindex', '0');
    svg.addEventListener('keydown', function (e) {
      var at = current < 0 ? zoomed : current, f = frames[at];
      if (e.key === 'Escape') clear();
      else if (e.key === 'Enter') zoom(at);
      else if (e.key === 'Backspace') zoom(Math.max(frames[zoomed].parent, 0));
      else if (e.key === 'ArrowUp') select(f.parent);
      else if (e.key === 'ArrowDown') select(f.end > at + 1 ? at + 1 : at);
      else if (e.key === 'ArrowRight') select(sibling(at, 1));
      else if (e.key === 'ArrowLeft') select(sibling(at, -1));
      else return;
      e.preventDefault();
    });
    document.addEventListener('keydown', function (e) {
      if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
      if (/^(input|textarea|select)$/i.test(e.target.tagName) && e.target.type !== 'radio') return;
      var box = svg.getBoundingClientRect(); /* of several graphs the first one in sight */
      if (!box.width || box.bottom < 0 || box.top > window.innerHeight) return;
      input.focus();
      e.preventDefault();
    });
    window.addEventListener('resize', fit);
    svg.addEventListener('fp-shown', fit);
    measure();
    zoom(0);
    var hash = /(?:^#|&)q=([^&]*)/.exec(location.hash);
    if (hash) {
      try { input.value = decodeURIComponent(hash[1]); } catch (e) { input.value = hash[1]; }
      search(input.value);
    }
  }

  function start() {
    Array.prototype.forEach.call(document.querySelectorAll('svg.fp-flame'), setup);
  }
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
  else start();
})();
