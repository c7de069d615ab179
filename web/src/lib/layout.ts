import type { Graph } from './graph';

export interface Box {
  x: number;
  y: number;
}
export interface Layout {
  width: number;
  height: number;
  boxes: Map<string, Box>;
  edges: { from: string; to: string; label?: string; path: string; labelAt: Box }[];
}
export interface Sizes {
  width: number;
  height: number;
  gapX: number;
  gapY: number;
}

interface Cell {
  key: string;
  rank: number;
  /** a bend of a long edge takes little room */
  bend: boolean;
  up: Cell[];
  down: Cell[];
  order: number;
  x: number;
}

/**
 * Layers from top to bottom: the rank of a node is the longest way to it, edges over more than one layer get bends, the order in a layer follows the mean of
 * the neighbours, and a few sweeps pull each node towards them. Workflows have at most some hundred steps, so plain loops do.
 */
export function layout(graph: Graph, sizes: Sizes): Layout {
  const cells = new Map<string, Cell>();
  for (const node of graph.nodes) cells.set(node.id, { key: node.id, rank: 0, bend: false, up: [], down: [], order: 0, x: 0 });
  const edges = graph.edges.filter((edge) => edge.from !== edge.to && cells.has(edge.from) && cells.has(edge.to));
  rank(cells, edges);

  const layers: Cell[][] = [];
  const place = (cell: Cell): void => void (layers[cell.rank] ??= []).push(cell);
  for (const cell of cells.values()) place(cell);
  const chains = edges.map((edge) => {
    const chain = [cells.get(edge.from)!];
    const to = cells.get(edge.to)!;
    for (let r = chain[0]!.rank + 1; r < to.rank; r++) {
      const bend: Cell = { key: `${edge.from}→${edge.to}:${r}`, rank: r, bend: true, up: [], down: [], order: 0, x: 0 };
      place(bend);
      chain.push(bend);
    }
    chain.push(to);
    for (let i = 1; i < chain.length; i++) {
      chain[i - 1]!.down.push(chain[i]!);
      chain[i]!.up.push(chain[i - 1]!);
    }
    return chain;
  });
  for (const layer of layers) layer?.forEach((cell, i) => (cell.order = i));
  sortLayers(layers);
  positions(layers, sizes);

  let least = Infinity;
  let most = -Infinity;
  for (const cell of layers.flat()) {
    least = Math.min(least, cell.x - room(cell, sizes) / 2);
    most = Math.max(most, cell.x + room(cell, sizes) / 2);
  }
  if (!Number.isFinite(least)) [least, most] = [0, 0];
  const top = (cell: Cell): number => cell.rank * (sizes.height + sizes.gapY);
  const boxes = new Map<string, Box>();
  for (const cell of cells.values()) boxes.set(cell.key, { x: Math.round(cell.x - least - sizes.width / 2), y: top(cell) });
  return {
    width: Math.ceil(most - least),
    height: layers.length === 0 ? 0 : (layers.length - 1) * (sizes.height + sizes.gapY) + sizes.height,
    boxes,
    edges: edges.map((edge, i) => {
      const points = chains[i]!.map((cell) => ({ x: Math.round(cell.x - least), top: top(cell), bend: cell.bend }));
      let path = `M${points[0]!.x} ${points[0]!.top + sizes.height}`;
      for (let p = 1; p < points.length; p++) {
        const [a, b] = [points[p - 1]!, points[p]!];
        const y1 = a.top + sizes.height;
        const middle = (y1 + b.top) / 2;
        path += ` C${a.x} ${middle} ${b.x} ${middle} ${b.x} ${b.top}`;
        if (b.bend) path += ` V${b.top + sizes.height}`;
      }
      const [a, b] = [points[0]!, points[1]!];
      const labelAt = { x: a.x + (b.x - a.x) * 0.62, y: a.top + sizes.height + sizes.gapY * 0.55 };
      return { from: edge.from, to: edge.to, ...(edge.label === undefined ? {} : { label: edge.label }), path, labelAt };
    }),
  };
}

const room = (cell: Cell, sizes: Sizes): number => (cell.bend ? sizes.gapX : sizes.width);

function rank(cells: Map<string, Cell>, edges: { from: string; to: string }[]): void {
  // A definition has no cycles (the loader refuses them); the bound keeps a broken one from hanging the page.
  for (let round = 0; round < cells.size; round++) {
    let moved = false;
    for (const edge of edges) {
      const [from, to] = [cells.get(edge.from)!, cells.get(edge.to)!];
      if (to.rank <= from.rank && from.rank + 1 < cells.size) {
        to.rank = from.rank + 1;
        moved = true;
      }
    }
    if (!moved) return;
  }
}

function mean(cells: Cell[], of: (cell: Cell) => number, otherwise: number): number {
  return cells.length === 0 ? otherwise : cells.reduce((sum, cell) => sum + of(cell), 0) / cells.length;
}

function sortLayers(layers: Cell[][]): void {
  for (let sweep = 0; sweep < 6; sweep++) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      const at = new Map(layer.map((cell) => [cell, mean(down ? cell.up : cell.down, (each) => each.order, cell.order)]));
      layer.sort((a, b) => at.get(a)! - at.get(b)! || a.order - b.order);
      layer.forEach((cell, i) => (cell.order = i));
    }
  }
}

function positions(layers: Cell[][], sizes: Sizes): void {
  const apart = (a: Cell, b: Cell): number => (room(a, sizes) + room(b, sizes)) / 2 + sizes.gapX;
  for (const layer of layers) {
    let x = 0;
    layer.forEach((cell, i) => {
      if (i > 0) x += apart(layer[i - 1]!, cell);
      cell.x = x;
    });
    for (const cell of layer) cell.x -= x / 2;
  }
  for (let sweep = 0; sweep < 8; sweep++) {
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      const want = layer.map((cell) => mean([...cell.up, ...cell.down], (each) => each.x, cell.x));
      spread(layer, want, apart);
    }
  }
}

/** Each cell as near to its wish as the distances allow: pushed right from the left, pushed left from the right, and the mean of both. */
function spread(layer: Cell[], want: number[], apart: (a: Cell, b: Cell) => number): void {
  const right = [...want];
  for (let i = 1; i < layer.length; i++) right[i] = Math.max(right[i]!, right[i - 1]! + apart(layer[i - 1]!, layer[i]!));
  const left = [...want];
  for (let i = layer.length - 2; i >= 0; i--) left[i] = Math.min(left[i]!, left[i + 1]! - apart(layer[i]!, layer[i + 1]!));
  layer.forEach((cell, i) => (cell.x = (right[i]! + left[i]!) / 2));
}
