/** What a build finds on PATH besides what the user has there. */
import { delimiter, join } from 'node:path';
import { findOnPath, isExecutable } from '../../device/path.js';

/** Where JetPack and NVIDIA's packages put CUDA, which they do not put on PATH. */
const CUDA = '/usr/local/cuda';

/** The user's environment, with nvcc on PATH where it is installed and not on it. */
export function withCuda(env: NodeJS.ProcessEnv, cuda = CUDA): NodeJS.ProcessEnv {
  const path = env.PATH ?? '';
  if (findOnPath('nvcc', path) !== null || !isExecutable(join(cuda, 'bin', 'nvcc'))) return env;
  return { ...env, PATH: `${path}${delimiter}${join(cuda, 'bin')}`, CUDA_HOME: env.CUDA_HOME ?? cuda };
}

/** Where Debian's ccache has a link for each compiler, for builds that ask no variable. */
const CCACHE_LINKS = '/usr/lib/ccache';

/** Compilers through ccache where it is on PATH: CMake's and torch's by their variables, others by their names. What the user has set stays. */
export function withCcache(env: NodeJS.ProcessEnv, links = CCACHE_LINKS): NodeJS.ProcessEnv {
  const path = env.PATH ?? '';
  if (findOnPath('ccache', path) === null) return env;
  const nvcc = findOnPath('nvcc', path);
  return {
    CMAKE_C_COMPILER_LAUNCHER: 'ccache',
    CMAKE_CXX_COMPILER_LAUNCHER: 'ccache',
    CMAKE_CUDA_COMPILER_LAUNCHER: 'ccache',
    ...(nvcc === null ? {} : { PYTORCH_NVCC: `ccache ${nvcc}` }),
    ...env,
    ...(isExecutable(join(links, 'c++')) ? { PATH: `${links}${delimiter}${path}` } : {}),
  };
}
