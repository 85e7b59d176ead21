#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "runtime/server/http/message.hpp"

namespace caesura::http {

namespace detail {

// The listener's side of an answer and of a stream. Any thread; the destructor ends what is still open.
class stream_sink {
 public:
  virtual ~stream_sink() = default;
  virtual bool write(std::string bytes) = 0;
  virtual void close() = 0;
  [[nodiscard]] virtual bool is_open() const = 0;
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
};

class answer_sink {
 public:
  virtual ~answer_sink() = default;
  virtual void answer(response answer) = 0;
  virtual std::shared_ptr<stream_sink> start_stream(int status, header_list headers) = 0;
};

}  // namespace detail

// A response whose body is written piece by piece, such as server-sent events. Copies share it; when the last is gone it is closed.
// Any thread, also after the listener is gone.
class stream {
 public:
  explicit stream(std::shared_ptr<detail::stream_sink> sink) : sink_{std::move(sink)} {}

  // Queues the bytes; never blocks. False: the stream is over, because the client has gone (or closed its side), the listener stops, it was closed, or
  // the client reads so slowly that more than listener_options::stream_bytes would be queued (then the connection is cut, so that
  // no client takes a stream with a gap for a whole one).
  bool write(std::string bytes) { return sink_->write(std::move(bytes)); }
  // Ends the response once what is queued has been written.
  void close() { sink_->close(); }
  [[nodiscard]] bool is_open() const { return sink_->is_open(); }
  // What waits for the client to read, beside what the system has taken.
  [[nodiscard]] std::size_t queued_bytes() const { return sink_->queued_bytes(); }

 private:
  std::shared_ptr<detail::stream_sink> sink_;  // owners: the copies
};

// The way back to the client of one request. Copies share it; the first answer counts, later ones are ignored. When the last copy
// is gone without an answer, the client gets status 500. Any thread, at any time, also after the listener is gone: then, and when
// the client has gone, nothing happens.
class responder {
 public:
  explicit responder(std::shared_ptr<detail::answer_sink> sink) : sink_{std::move(sink)} {}

  void operator()(response answer) const { sink_->answer(std::move(answer)); }

  // Answers with a body that follows. The connection is closed at its end. To HEAD, or when an answer was given before, the stream
  // is over from the start.
  [[nodiscard]] stream start_stream(int status, header_list headers) const {
    return stream{sink_->start_stream(status, std::move(headers))};
  }

 private:
  std::shared_ptr<detail::answer_sink> sink_;  // owners: the copies
};

}  // namespace caesura::http
