// What the pages draw: lines, areas and bars on one grid, with a legend that
// scrolls and a tip. internal/httpx/static/chart.js uses nothing else of ECharts.
import { init, use } from "echarts/core";
import { BarChart, LineChart } from "echarts/charts";
import { GridSimpleComponent, LegendScrollComponent, TooltipComponent } from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

use([BarChart, LineChart, GridSimpleComponent, LegendScrollComponent, TooltipComponent, CanvasRenderer]);

export { init };
