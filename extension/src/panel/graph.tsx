/** A lineage, drawn from its sources downwards. */
import React from 'react';
import { Graph, GraphNode } from '../wire';

const HEIGHT = 34;
const GAP_X = 14;
const GAP_Y = 30;
const MARGIN = 6;

interface IBox extends GraphNode {
  x: number;
  y: number;
  width: number;
}

export function LineageGraph(props: { graph: Graph; open: (name: string) => void }): JSX.Element {
  const { graph, open } = props;
  const { boxes, width, height } = layout(graph);
  const at = new Map(boxes.map(each => [each.name, each]));
  return (
    <div className="mlp-graph">
      <svg
        style={{ width: '100%', maxWidth: width, minWidth: 0.65 * width }}
        viewBox={`0 0 ${width} ${height}`}
        role="group"
        aria-label={`Lineage of ${graph.root}`}
      >
        <defs>
          <marker
            id="mlp-arrow"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            orient="auto"
          >
            <path d="M0 0.5 7 4 0 7.5z" className="mlp-arrowhead" />
          </marker>
        </defs>
        {graph.edges.map(each => {
          const from = at.get(each.source);
          const to = at.get(each.target);
          return (
            from &&
            to && (
              <path
                key={`${each.source} ${each.target}`}
                className={each.values ? 'mlp-edge' : 'mlp-edge mlp-edge-rows'}
                d={curve(from, to)}
                markerEnd="url(#mlp-arrow)"
              >
                <title>{`${each.target} reads ${each.source}${each.values ? '' : ' (only which rows)'}`}</title>
              </path>
            )
          );
        })}
        {boxes.map(each => (
          <g
            key={each.name}
            className={`mlp-node mlp-node-${each.kind}${each.name === graph.root ? ' mlp-root' : ''}`}
            transform={`translate(${each.x} ${each.y})`}
            role="button"
            tabIndex={0}
            aria-label={`${each.kind} ${shown(each)}`}
            onClick={() => open(each.name)}
            onKeyDown={event => {
              if (event.key === 'Enter' || event.key === ' ') {
                event.preventDefault();
                open(each.name);
              }
            }}
          >
            <title>{shown(each)}</title>
            <rect width={each.width} height={HEIGHT} rx={4} />
            <text x={each.width / 2} y={14}>
              {short(shown(each))}
            </text>
            <text x={each.width / 2} y={27} className="mlp-node-kind">
              {each.kind === 'transform' ? 'features' : each.kind}
            </text>
          </g>
        ))}
      </svg>
    </div>
  );
}

/** Puts the nodes of each level beside each other, in the middle. */
function layout(graph: Graph): { boxes: IBox[]; width: number; height: number } {
  const levels: GraphNode[][] = [];
  for (const node of graph.nodes) {
    (levels[node.level] ??= []).push(node);
  }
  const widthOf = (node: GraphNode) => Math.max(70, short(shown(node)).length * 6.7 + 18);
  const widths = levels.map(each => each.reduce((sum, node) => sum + widthOf(node) + GAP_X, -GAP_X));
  const width = Math.max(...widths) + 2 * MARGIN;
  const boxes: IBox[] = [];
  levels.forEach((nodes, level) => {
    let x = (width - widths[level]) / 2;
    for (const node of nodes) {
      boxes.push({ ...node, x, y: MARGIN + level * (HEIGHT + GAP_Y), width: widthOf(node) });
      x += widthOf(node) + GAP_X;
    }
  });
  return { boxes, width, height: 2 * MARGIN + levels.length * (HEIGHT + GAP_Y) - GAP_Y };
}

function curve(from: IBox, to: IBox): string {
  const [x1, y1] = [from.x + from.width / 2, from.y + HEIGHT];
  const [x2, y2] = [to.x + to.width / 2, to.y - 1];
  const bend = Math.max(14, (y2 - y1) / 2);
  return `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
}

/** Names a binding as statements do. */
function shown(node: GraphNode): string {
  return node.kind === 'binding' ? node.name.replace('__', '.') : node.name;
}

function short(name: string): string {
  return name.length > 24 ? `${name.slice(0, 23)}…` : name;
}
