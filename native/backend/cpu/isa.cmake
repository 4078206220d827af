# kernels.inc is compiled once for each instruction set; the best one the machine has is chosen at run time.
