// How many prompt rows a step may take beside sequences that decode: as many as make it cost a given multiple of a step
// without them, or as long as no reader notices, by what steps have been measured to take. So a prompt of any length
// slows running streams down by that much and no more, on a slow CPU (a few rows) as on a fast GPU (hundreds, in whose
// steps of a millisecond there would be room for too few to feed it). Pure arithmetic on the times it is told.
#pragma once
#include <vector>

namespace jsg {

class StepPacer {
 public:
  // Fewer tell nothing of their price beside the noise of a step, so that a wrong estimate would stay.
  static constexpr int kMinRows = 3;
  // A step of this length is not noticed: 100 tokens a second, ten times as fast as people read.
  static constexpr double kUnnoticedUs = 10'000;

  // `max_rows`: of prompts in a step in any case. `cost`: of a mixed step, in steps that only decode; 0: no limit.
  StepPacer(int max_running, int max_rows, double cost);

  // Prompt rows of a step in which so many sequences decode; at least kMinRows, or max_rows where that is less.
  int prompt_rows(int n_decodes) const;
  // What a step took, microseconds.
  void observe(int n_decodes, int n_prompt_rows, double elapsed_us);

 private:
  double decode_us(int n_decodes) const;
  double allowed_us(double step_us) const;

  int max_rows_;
  double cost_;
  std::vector<double> decode_us_;  // (max_running + 1): of a step that only decodes so many sequences; 0: not seen
  double row_us_ = 0;              // what a prompt row adds; 0: not seen
};

}  // namespace jsg
