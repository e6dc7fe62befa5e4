// A sparkline: the last minute or two of one number, scaled to its own range.

const SVG = "http://www.w3.org/2000/svg";
const POINTS = 60;
const WIDTH = 100;
const HEIGHT = 30;

export function createSpark() {
  const svg = document.createElementNS(SVG, "svg");
  const under = document.createElementNS(SVG, "path");
  const line = document.createElementNS(SVG, "path");
  const base = document.createElementNS(SVG, "path");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  under.setAttribute("class", "under");
  base.setAttribute("class", "base");
  base.setAttribute("d", `M0 ${HEIGHT}H${WIDTH}`);
  svg.append(base, under, line);

  const values = [];
  return {
    svg,
    /** Forgets what was: a gap has no line through it. */
    clear() {
      values.length = 0;
      line.removeAttribute("d");
      under.removeAttribute("d");
    },
    push(value) {
      values.push(value);
      if (values.length > POINTS) values.shift();
      if (values.length < 2) return;
      const top = Math.max(...values, 1);
      const step = WIDTH / (POINTS - 1);
      const start = WIDTH - (values.length - 1) * step;
      const points = values.map((v, i) => `${(start + i * step).toFixed(2)} ${(HEIGHT - 1 - (v / top) * (HEIGHT - 3)).toFixed(2)}`);
      line.setAttribute("d", `M${points.join("L")}`);
      under.setAttribute("d", `M${start.toFixed(2)} ${HEIGHT}L${points.join("L")}L${WIDTH} ${HEIGHT}Z`);
    },
  };
}
