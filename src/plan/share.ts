/** What one machine has of a model that several share by tensor parallelism. Pure. */
import { planTensors } from '../model/tensor-plan.js';
import type { Settings } from '../profile/flags.js';
import type { Model } from './memory.js';

/** Machines that share each layer of the model, and the KV cache with it; 1: each has all of it. */
export function machinesThatShare(settings: Pick<Settings, 'engine' | 'nnodes' | 'tp-size'>): number {
  const { engine, nnodes, 'tp-size': tp } = settings;
  return engine === 'sglang' && tp % nnodes === 0 ? nnodes : 1;
}

/** Heads, columns between, and words are shared out; norms are on every machine, and so is a head of K and V that there are too few of. */
export function shareOf<T extends Model>(model: T, numMachines: number): T {
  if (numMachines === 1) return model;
  const part = (count: number) => Math.ceil(count / numMachines);
  const { numHeads, numKvHeads, intermediateSize, vocabSize } = model.config;
  const config = {
    ...model.config,
    numHeads: part(numHeads),
    numKvHeads: part(numKvHeads),
    intermediateSize: part(intermediateSize),
    vocabSize: part(vocabSize),
  };
  const shapes = new Map(planTensors(config).map(({ name, shape }) => [name, shape]));
  const elements = (shape: readonly number[]) => shape.reduce((product, dim) => product * dim, 1);
  const tensors = model.tensors.map((tensor) => {
    const shape = shapes.get(tensor.name) ?? tensor.shape;
    return { ...tensor, shape, nbytes: Math.ceil((tensor.nbytes * elements(shape)) / elements(tensor.shape)) };
  });
  return { ...model, config, tensors };
}
