// Ostler for C++17: the C header with owners, durations, lambdas and exceptions. Header-only; link libostler.
//
// Each call that can fail comes twice: the plain form throws ostler::error, the form with a std::error_code & as its last
// argument does not throw and leaves the words in ostler::last_error_message(). An exception that leaves a callback is
// stopped here and becomes the failure of that callback, with its what(). Compiled without exceptions, the plain forms end
// the program instead of throwing.
#ifndef OSTLER_HPP
#define OSTLER_HPP

#include "ostler/arena.hpp"
#include "ostler/buffers.hpp"
#include "ostler/deferred.hpp"
#include "ostler/desk.hpp"
#include "ostler/file.hpp"
#include "ostler/errors.hpp"
#include "ostler/governor.hpp"
#include "ostler/handle.hpp"
#include "ostler/heap.hpp"
#include "ostler/lazy.hpp"
#include "ostler/library.hpp"
#include "ostler/model.hpp"
#include "ostler/orchestrator.hpp"
#include "ostler/page_source.hpp"
#include "ostler/pool.hpp"
#include "ostler/request.hpp"
#include "ostler/slab.hpp"
#include "ostler/tap.hpp"
#include "ostler/segment.hpp"
#include "ostler/templates.hpp"
#include "ostler/testkit.hpp"
#include "ostler/topology.hpp"
#include "ostler/tracing.hpp"
#include "ostler/turn.hpp"
#include "ostler/units.hpp"

#endif
