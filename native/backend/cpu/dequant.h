#pragma once
#include "backend/dequant.h"
namespace jsg::cpu {
using jsg::dequantize_row;
}
