// Bundles echarts.js. Left out besides what nobody imports: tips as HTML (ours are
// drawn on the canvas, for the pages forbid inline style), patterns, the animation
// while loading, axes of time and of powers, transformed data sets, and the words of a toolbox that we do not show.
import { build } from "esbuild";

const leftOut = {
  "tooltip/TooltipHTMLContent.js": "export default class {}",
  "util/decal.js": "export function createOrUpdatePatternFromDecal() { return null; }",
  "loading/default.js": "export default function () {}",
  "i18n/langZH.js": "export default {};",
  "scale/Time.js": "export default class {} export function calcNiceForTimeScale() {}",
  "scale/Log.js": "export default class {}",
  "data/helper/transform.js": "export function registerExternalTransform() {} export function applyDataTransform() { return []; } export class ExternalSource {}",
};

await build({
  entryPoints: ["echarts.js"],
  outfile: "../../internal/httpx/static/vendor/echarts.lite.min.js",
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "echarts",
  target: "es2018",
  legalComments: "none",
  banner: { js: "/* Apache ECharts 6.1.0 (Apache-2.0), parts: scripts/echarts. Contains zrender (BSD-3-Clause) and tslib (0BSD). */" },
  plugins: [{
    name: "left out",
    setup(b) {
      b.onLoad({ filter: /echarts[/\\]lib[/\\].*\.js$/ }, (f) => {
        const end = Object.keys(leftOut).find((e) => f.path.replaceAll("\\", "/").endsWith(e));
        return end && { contents: leftOut[end], loader: "js" };
      });
    },
  }],
});
