#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "kubernaut/base/result.hpp"

namespace kn::async {

/// A coroutine of ours: lazy, single use, runs on the loop that it was spawned on.
template <class T = void> using Task = boost::asio::awaitable<T>;

using Executor = boost::asio::any_io_executor;

}  // namespace kn::async
