// Charts are drawn when they come into view: most are never looked at, and each takes a tenth of a second.
const charts = (() => {
  const drawing = new Map();
  const inView = new Set();
  const stale = new Set();
  const drawNow = (node) => {
    stale.delete(node);
    drawing.get(node)();
  };
  const observer = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) inView.add(target); else inView.delete(target);
      if (isIntersecting && stale.has(target)) drawNow(target);
    }
  }, { rootMargin: "400px" });
  return {
    // What draws a chart; it is called again whenever what it shows has changed.
    add: (node, draw) => {
      if (!node) return;
      drawing.set(node, draw);
      stale.add(node);
      observer.observe(node);
    },
    changed: (nodes = drawing.keys()) => {
      for (const node of nodes) if (inView.has(node)) drawNow(node); else stale.add(node);
    },
    drawAll: () => { for (const node of stale) drawNow(node); },
  };
})();
