/* Comfort only: tooltips without delay, links that open what they lead to. */
(function () {
  'use strict';
  var tip = document.createElement('div');
  tip.id = 'tip';
  tip.setAttribute('role', 'tooltip');
  document.body.appendChild(tip);

  /* A title shows late and looks foreign; it stays for readers that are no eyes. */
  Array.prototype.forEach.call(document.querySelectorAll('.plot circle, .plot rect'), function (mark) {
    var title = mark.querySelector('title');
    if (!title) return;
    mark.setAttribute('aria-label', title.textContent.replace(/\n/g, ', '));
    mark.tipText = title.textContent;
    mark.removeChild(title);
  });

  document.addEventListener('mousemove', function (e) {
    var text = e.target.tipText;
    tip.classList.toggle('on', !!text);
    if (!text) return;
    tip.textContent = text;
    var x = Math.min(e.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    var y = e.clientY + 18 + tip.offsetHeight > window.innerHeight ? e.clientY - tip.offsetHeight - 12 : e.clientY + 18;
    tip.style.left = Math.max(x, 4) + 'px';
    tip.style.top = Math.max(y, 4) + 'px';
  });

  function openTarget() {
    var target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === 'DETAILS') {
      target.open = true;
      target.scrollIntoView({ block: 'nearest' });
    }
  }
  window.addEventListener('hashchange', openTarget);
  openTarget();

  /* A graph that was hidden could not measure its room. */
  document.addEventListener('change', function (e) {
    if (e.target.type !== 'radio') return;
    Array.prototype.forEach.call(document.querySelectorAll('svg.fp-flame'), function (svg) {
      svg.dispatchEvent(new Event('fp-shown'));
    });
  });
})();
