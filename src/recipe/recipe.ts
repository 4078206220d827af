/** Recipes: files of recipes/ by name, or a file of one's own by path. */
import { readdirSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { z } from 'zod';
import { JsgError } from '../errors.js';
import { nearest } from '../nearest.js';
import { packageRoot } from '../version.js';
import { buildingSchema, includingSchema, type RecipeFile, type Variant } from './schema.js';
import { readYaml } from './yaml-file.js';

export const recipesDirectory = join(packageRoot, 'recipes');

export interface Recipe {
  name: string;
  file: RecipeFile;
}

export function recipeNames(directory = recipesDirectory): string[] {
  return readdirSync(directory)
    .filter((name) => extname(name) === '.yaml')
    .map((name) => basename(name, '.yaml'))
    .sort();
}

/** Throws E_USAGE: there is no such recipe, or its file is not as it must be. */
export function loadRecipe(nameOrPath: string, directory = recipesDirectory): Recipe {
  const isPath = nameOrPath.includes('/') || /\.ya?ml$/.test(nameOrPath);
  const names = recipeNames(directory);
  if (!isPath && !names.includes(nameOrPath)) {
    const near = nearest(nameOrPath, names);
    throw new JsgError('E_USAGE', `there is no recipe ${nameOrPath}`, {
      hint: near === null ? `There are: ${names.join(', ')}.` : `Did you mean jsg build ${near}?`,
    });
  }
  const path = isPath ? nameOrPath : join(directory, `${nameOrPath}.yaml`);
  return { name: basename(path, extname(path)), file: readYaml<RecipeFile>(path, schemaFor) };
}

function schemaFor(value: unknown): z.ZodType<RecipeFile> {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap) return z.never('a mapping with description and variants');
  return 'includes' in value ? includingSchema : buildingSchema;
}

/** Throws E_USAGE naming the variants there are. */
export function variantOf(name: string, variants: Record<string, Variant>, wanted: string): Variant {
  const found = Object.hasOwn(variants, wanted) ? variants[wanted] : undefined;
  if (found !== undefined) return found;
  const known = Object.keys(variants);
  const near = nearest(wanted, known);
  throw new JsgError('E_USAGE', `recipe ${name} has no variant ${wanted}`, {
    hint: near === null ? `It has: ${known.join(', ')}.` : `Did you mean --variant ${near}?`,
  });
}
