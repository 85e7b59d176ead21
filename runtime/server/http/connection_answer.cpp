// The far ends of responders and streams: they hand over to the connection's loop.

#include "runtime/server/http/connection.hpp"

#include <atomic>

#include "runtime/server/http/response_head.hpp"

namespace caesura::http {

namespace {

class connection_stream final : public detail::stream_sink {
 public:
  connection_stream(std::shared_ptr<connection> owner, std::shared_ptr<stream_queue> queue, bool is_chunked)
      : connection_{std::move(owner)}, queue_{std::move(queue)}, is_chunked_{is_chunked} {}
  ~connection_stream() override { end(); }

  bool write(std::string bytes) override {
    const std::lock_guard lock{queue_->mutex};
    if (!queue_->is_open) return false;
    if (bytes.empty()) return true;
    if (queue_->bytes.size() + bytes.size() > connection_->registry().options.stream_bytes) {
      queue_->is_open = false;
      connection_->registry().post([cut = connection_] { cut->close(); });
      return false;
    }
    queue_->bytes += is_chunked_ ? to_chunk(bytes) : bytes;
    return wake();
  }

  void close() override { end(); }

  bool is_open() const override {
    const std::lock_guard lock{queue_->mutex};
    return queue_->is_open;
  }

  std::size_t queued_bytes() const override {
    const std::lock_guard lock{queue_->mutex};
    return queue_->bytes.size();
  }

 private:
  void end() {
    const std::lock_guard lock{queue_->mutex};
    queue_->is_open = false;
    if (!std::exchange(queue_->is_close_wanted, true)) wake();
  }

  bool wake() {
    if (queue_->is_pumping) return true;
    queue_->is_pumping = true;
    return connection_->registry().post([woken = connection_] { woken->pump(); });
  }

  std::shared_ptr<connection> connection_;
  std::shared_ptr<stream_queue> queue_;
  bool is_chunked_;
};

// A stream that is over from the start.
class ended_stream final : public detail::stream_sink {
 public:
  bool write(std::string) override { return false; }
  void close() override {}
  bool is_open() const override { return false; }
  std::size_t queued_bytes() const override { return 0; }
};

class connection_answer final : public detail::answer_sink {
 public:
  connection_answer(std::shared_ptr<connection> owner, request_traits traits) : connection_{std::move(owner)}, traits_{traits} {}
  ~connection_answer() override {
    if (!is_answered_) connection_answer::answer(response::error(500, "the request was not answered"));
  }

  void answer(response answer) override {
    if (is_answered_.exchange(true)) return;
    if (connection_->registry().is_on_loop()) {
      connection_->answer(std::move(answer));
      return;
    }
    auto work = [owner = connection_, answer = std::move(answer)]() mutable { owner->answer(std::move(answer)); };
    connection_->registry().post(std::move(work));
  }

  std::shared_ptr<detail::stream_sink> start_stream(int status, header_list headers) override {
    response head = sendable({.status = status, .headers = std::move(headers), .body = {}});
    if (traits_.is_head || has_no_body(head.status) || head.status != status) {
      answer(std::move(head));
      return std::make_shared<ended_stream>();
    }
    if (is_answered_.exchange(true)) return std::make_shared<ended_stream>();
    auto queue = std::make_shared<stream_queue>();
    queue->bytes = make_head(head, connection_->registry().options.extra_headers, {traits_, true, true});
    const bool is_started =
        connection_->registry().post([owner = connection_, queue] { owner->begin_stream(queue); });
    if (!is_started) return std::make_shared<ended_stream>();
    return std::make_shared<connection_stream>(connection_, queue, traits_.is_version_11);
  }

 private:
  std::shared_ptr<connection> connection_;
  const request_traits traits_;
  std::atomic<bool> is_answered_{false};
};

}  // namespace

std::shared_ptr<detail::answer_sink> make_answer(std::shared_ptr<connection> owner, request_traits traits) {
  return std::make_shared<connection_answer>(std::move(owner), traits);
}

}  // namespace caesura::http
