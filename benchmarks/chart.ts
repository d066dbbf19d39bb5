/** Draws a suite: jobs per second of each contender, in one group of bars for each workload. */
import { BarChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { Results } from './results.js';

echarts.use([BarChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const WIDTH = 1000;
const HEIGHT = 480;
const OURS = '#d6336c';
const PALETTE = [OURS, '#1c7ed6', '#74c0fc', '#e8590c', '#f59f00', '#ffd43b', '#94d82d', '#868e96', '#343a40'];

/** @param workloads which to draw */
export function chart({ rows, ours }: Results, workloads: readonly string[]): string {
  const drawn = workloads.filter(workload => rows.some(row => row.workload === workload));
  const contenders = [...new Set(rows.map(row => row.contender))].filter(name => !name.startsWith('in one process'));
  const svg = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  svg.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: 'Jobs per second, one process (more is better)', left: 'center' },
    color: PALETTE,
    legend: { bottom: 0, itemGap: 36, textStyle: { fontSize: 11 } },
    grid: { top: 50, left: 60, right: 20, bottom: 90 },
    xAxis: { type: 'category', data: drawn },
    yAxis: { type: 'value' },
    series: contenders.map(name => ({
      type: 'bar',
      name,
      itemStyle: name === ours ? { color: OURS } : undefined,
      data: drawn.map(
        workload =>
          rows.find(row => row.workload === workload && row.contender === name)?.jobsPerSecond.median.toFixed(0) ?? '-',
      ),
    })),
  });
  const text = svg.renderToSVGString();
  // Otherwise it keeps the process alive.
  svg.dispose();
  return text;
}
