#include "storage/record_check.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "storage/codec.hpp"
#include "storage/document_view.hpp"
#include "storage/keys.hpp"
#include "storage/store.hpp"

namespace caesura::storage {

namespace {

constexpr std::size_t id_bytes = sizeof(run_id::bytes);

class checker {
 public:
  checker(const page_source& source, std::size_t most_faults)
      : most_faults_{most_faults},
        file_{source, [this](std::uint64_t page, std::string_view name, std::string text) {
                add({.page = page, .table = std::string{name}, .text = std::move(text)});
              }} {}

  verify_report run() {
    for (std::size_t i = 0; i < table_count; ++i) report_.records.emplace_back(name_of(static_cast<table>(i)), 0);
    const bool has_sound_pages = file_.check([this](std::string_view name, std::uint64_t page, std::string_view key, std::string_view value) {
      take(name, page, key, value);
    });
    check_table_names();
    report_.commits = file_.transaction();
    report_.pages = file_.used_pages();
    report_.free_pages = file_.free_pages();
    if (has_sound_pages && report_.faults.empty()) check_tables();
    return std::move(report_);
  }

 private:
  void add(verify_fault fault) {
    if (report_.faults.size() < most_faults_) report_.faults.push_back(std::move(fault));
  }

  // An older format lacks the tables that came later.
  void check_table_names() {
    const auto names = file_.table_names();
    for (const auto& name : names) {
      const bool is_known = std::ranges::any_of(report_.records, [&](const auto& entry) { return entry.first == name; });
      if (!is_known) add({.table = name, .text = "no store has a table \"" + name.substr(0, 80) + "\""});
    }
    constexpr std::size_t tables_of_format_1 = 10;
    if (names.size() < tables_of_format_1) add({.text = "the file lists " + std::to_string(names.size()) + " tables: there must be " + std::to_string(table_count)});
  }

  // ---- each record for itself

  void take(std::string_view name, std::uint64_t page, std::string_view key, std::string_view value) {
    const auto found = std::ranges::find(report_.records, name, [](const auto& entry) -> std::string_view { return entry.first; });
    if (found == report_.records.end()) return;
    ++found->second;
    const auto where = static_cast<table>(found - report_.records.begin());
    if (!is_readable(where, key, value)) {
      add({.page = page,
           .table = std::string{name},
           .record = hex(key),
           .text = "page " + std::to_string(page) + ", table " + std::string{name} + ": the record under key " + hex(key) +
                   " fails its checksum or does not decode"});
    }
  }

  static bool is_readable(table where, std::string_view key, std::string_view value) {
    switch (where) {
      case table::meta: return unseal(where, key, value).has_value();
      case table::events: return key.size() == id_bytes && decode<event_record>(where, key, value);
      case table::live_runs:
      case table::ended_runs: return key.size() == id_bytes && decode<run_record>(where, key, value);
      case table::steps: return key.size() == id_bytes + 4 && decode<step_record>(where, key, value);
      case table::definitions: return key.size() == 8 && decode<definition_record>(where, key, value);
      case table::outbox: return key.size() == id_bytes && decode<outbox_record>(where, key, value);
      case table::sweeps: return key.size() == id_bytes && decode<sweep_record>(where, key, value);
      case table::bulk_jobs: return key.size() == id_bytes && decode<bulk_record>(where, key, value);
      case table::plans: return key.size() == id_bytes && decode<plan_record>(where, key, value);
      case table::plan_ids: return key.size() == id_bytes + 4 && decode<plan_chunk_record>(where, key, value);
      case table::functions: return decode<function_state_record>(where, key, value).has_value();
      case table::flow: return key.size() == 8 && decode<flow_record>(where, key, value);
      case table::events_by_name:
      case table::runs_by_function: return key.size() == 8 + id_bytes && value.empty();
      case table::children:
      case table::runs_by_event: return key.size() == 2 * id_bytes && value.empty();
    }
    return false;
  }

  // ---- what the tables promise each other

  // A sentence about one record.
  void wrong(table where, const std::string& record, const std::string& text) {
    add({.table = std::string{name_of(where)}, .record = record, .text = "table " + std::string{name_of(where)} + ": " + text});
  }
  void require(bool holds, table where, const std::string& record, const std::string& text) {
    if (!holds) wrong(where, record, text);
  }

  template <class Record>
  std::optional<Record> find(table where, std::string_view key) const {
    const auto bytes = file_.find(name_of(where), key);
    return bytes ? decode<Record>(where, key, *bytes) : std::nullopt;
  }
  [[nodiscard]] bool contains(table where, std::string_view key) const { return file_.contains(name_of(where), key); }
  template <class Record>
  void each(table where, const std::function<void(std::string_view key, const Record&)>& visit) const {
    file_.each_from(name_of(where), {}, [&](std::string_view key, std::string_view bytes) {
      if (const auto record = decode<Record>(where, key, bytes)) visit(key, *record);
      return true;
    });
  }
  void each_key(table where, const std::function<void(std::string_view key)>& visit) const {
    file_.each_from(name_of(where), {}, [&](std::string_view key, std::string_view) {
      visit(key);
      return true;
    });
  }
  [[nodiscard]] std::uint64_t count(table where) const { return report_.records[static_cast<std::size_t>(where)].second; }

  [[nodiscard]] std::optional<run_record> find_run(const run_id& id) const {
    auto run = find<run_record>(table::live_runs, key_of(id));
    return run ? run : find<run_record>(table::ended_runs, key_of(id));
  }
  const definition_record* definition(std::uint64_t hash) {
    const auto known = definitions_.find(hash);
    return known == definitions_.end() ? nullptr : &known->second;
  }

  void check_tables() {
    check_meta();
    check_definitions();
    check_events();
    each<run_record>(table::live_runs, [this](std::string_view key, const run_record& run) { check_run(table::live_runs, key, run); });
    each<run_record>(table::ended_runs, [this](std::string_view key, const run_record& run) { check_run(table::ended_runs, key, run); });
    check_index_rows();
    check_steps();
    check_outbox();
    check_sweeps_and_jobs();
    check_plans();
  }

  void check_meta() {
    const auto row = [&](std::string_view name) -> std::optional<std::string> {
      const auto sealed = file_.find(name_of(table::meta), name);
      const auto bytes = sealed ? unseal(table::meta, name, *sealed) : std::nullopt;
      return bytes ? std::optional{std::string{*bytes}} : std::nullopt;
    };
    const auto format = row("format");
    if (!format || format->size() != 8 || number_at(*format) == 0 || number_at(*format) > 3) {
      wrong(table::meta, "format", "the row \"format\" is missing or of no format that this library knows");
    }
    last_id_.bytes.fill(0xFF);
    if (const auto last = row("last_id")) {
      require(last->size() == id_bytes, table::meta, "last_id", "the row \"last_id\" has " + std::to_string(last->size()) + " bytes, not 16");
      if (last->size() == id_bytes) std::memcpy(last_id_.bytes.data(), last->data(), id_bytes);
    } else {
      require(count(table::live_runs) + count(table::ended_runs) + count(table::events) == 0, table::meta, "last_id", "the row \"last_id\" is missing");
    }
    if (const auto commits = row("commits")) {
      require(!commits->empty() && std::ranges::all_of(*commits, [](char c) { return c >= '0' && c <= '9'; }), table::meta, "commits",
              "the row \"commits\" is no number");
    }
  }

  // Ids are issued in one order, and the last is stored with each commit.
  template <class Tag>
  void check_id(table where, const basic_id<Tag>& id) {
    require(id_cast<position>(id) <= last_id_, where, to_string(id), to_string(id) + " is beyond the last id that was issued, " + to_string(last_id_));
  }

  void check_definitions() {
    each<definition_record>(table::definitions, [this](std::string_view key, const definition_record& record) {
      require(definition_hash(record) == number_at(key), table::definitions, record.function,
              "the definition of \"" + record.function + "\" stands under another hash than its own");
      definitions_.emplace(number_at(key), record);
    });
  }

  void check_events() {
    each<event_record>(table::events, [this](std::string_view key, const event_record& event) {
      const auto id = to_string(event.id);
      require(key == key_of(event.id), table::events, id, "event " + id + " stands under another key");
      check_id(table::events, event.id);
      require(contains(table::events_by_name, hashed_key(hash_text(event.name), event.id)), table::events, id,
              "event " + id + " is missing from table events_by_name");
      for (const auto& run : event.runs) {
        const auto started = find_run(run);
        require(!started || is_of(*started, event.id), table::events, id, "event " + id + " started run " + to_string(run) + ", which says otherwise");
      }
    });
    require(count(table::events_by_name) == count(table::events), table::events_by_name, {},
            "it has " + std::to_string(count(table::events_by_name)) + " rows for " + std::to_string(count(table::events)) + " events");
  }

  // A run that collected events was started by each of them.
  static bool is_of(const run_record& run, const event_id& event) {
    if (run.event == event || std::ranges::find(run.events, event) != run.events.end()) return true;
    return !run.first_event.is_nil() && run.first_event <= event && event < run.event;
  }

  void check_run(table where, std::string_view key, const run_record& run) {
    const auto id = to_string(run.id);
    const auto must = [&](bool holds, const std::string& text) { require(holds, where, id, "run " + id + " " + text); };
    must(key == key_of(run.id), "stands under another key");
    check_id(where, run.id);
    must(is_ended(run.status) == (where == table::ended_runs), "is " + std::string{to_string(run.status)} + " and stands in the wrong table");
    must(where == table::live_runs || !contains(table::live_runs, key_of(run.id)), "is stored as live and as ended");
    must(contains(table::events, key_of(run.event)), "has no event: " + to_string(run.event) + " is not stored");
    const auto* def = definition(run.definition);
    must(def != nullptr, "has no definition");
    if (def != nullptr) {
      must(contains(table::runs_by_function, hashed_key(hash_text(def->function), run.id)), "is missing from table runs_by_function");
      if (run.status != run_status::skipped) {
        must(run.cancel_keys.size() == def->cancel_on.size(),
             "has " + std::to_string(run.cancel_keys.size()) + " cancel keys for " + std::to_string(def->cancel_on.size()) + " rules");
      }
      must(is_ended(run.status) || run.groups.size() == def->concurrency.size(), "has other concurrency groups than its definition");
    }
    for (const auto& event : run.events) must(contains(table::events, key_of(event)), "lacks an event of its batch: " + to_string(event) + " is not stored");
    must(run.events.empty() || run.events.front() == run.event, "has a batch that does not begin with its event");
    must(run.kept_steps <= run.step_count, "took over more steps than it has");
    must(run.root.is_nil() == run.replay_of.is_nil(), "is half a replay: root and replay_of must stand together");
    must(run.replay_of.is_nil() || contains(table::runs_by_event, key_of(run.event) + key_of(run.id)), "is a replay and missing from table runs_by_event");
    must(run.parent.is_nil() == (run.nesting == 0), "has a nesting that does not fit its parent");
    must(!run.is_paused || run.status == run_status::held, "is marked paused and not held");
    must(!run.any_from || *run.any_from <= run.step_count, "waits for one of several from a step on that it does not have");
    must(run.swept_to <= last_id_ && run.queued_at <= last_id_ && run.recorded_at <= last_id_, "has a place in the order that was never issued");
    is_ended(run.status) ? check_ended(run, must) : check_live(run, must);
  }

  using must_fn = std::function<void(bool, const std::string&)>;

  static void check_ended(const run_record& run, const must_fn& must) {
    must(run.ended_at.has_value(), "has ended at no time");
    must(run.pending.empty(), "has ended and still waits for something");
    must(!run.due && !run.deadline, "has ended and still has a timer");
    must(run.status != run_status::cancelled || run.cancelled_by.has_value(), "is cancelled by nobody");
    must(run.status != run_status::failed || run.error.has_value(), "has failed without an error");
    must(run.status != run_status::completed || !run.error.has_value(), "is completed and has an error");
  }

  void check_live(const run_record& run, const must_fn& must) {
    const auto pending = [&](step_kind kind) { return std::ranges::count(run.pending, kind, &pending_record::kind); };
    must(!run.ended_at, "has not ended and says when it did");
    must(!run.cancelled_by || run.status == run_status::running, "is at rest with a cancel on record");
    must(run.status != run_status::running || run.started_at.has_value(), "is running and never started");
    must(run.status != run_status::scheduled || (run.due && !run.started_at), "is scheduled for no time, or has started");
    must(run.status != run_status::held || !run.held_because.empty(), "is held for no reason");
    if (run.status == run_status::sleeping) must(pending(step_kind::sleep) > 0, "is sleeping without a sleep");
    if (run.status == run_status::waiting) must(pending(step_kind::wait_for_event) + pending(step_kind::invoke) > 0, "is waiting for nothing");
    if (run.status == run_status::backing_off) must(pending(step_kind::run) > 0, "is backing off without a failed step");
    must(run.parent.is_nil() || contains(table::children, key_of(run.parent) + key_of(run.id)), "was invoked and is missing from table children");
    std::set<std::uint8_t> slots;
    for (const auto& p : run.pending) {
      switch (p.kind) {
        case step_kind::sleep: must(p.due.has_value(), "has a sleep \"" + p.step + "\" that never ends"); break;
        case step_kind::wait_for_event:
          must(p.due.has_value() && !p.event.empty(), "has a wait \"" + p.step + "\" without a timeout or an event");
          must(p.since <= last_id_, "has a wait \"" + p.step + "\" since a place that was never issued");
          must(slots.insert(p.slot).second, "has two waits in one slot");
          break;
        case step_kind::run:  // planned, or to be tried again
          // A checkpoint begins a new count of attempts, and leaves what the last one came to.
          must(p.failed_attempts == 0 || p.last_error.has_value(), "has a retry \"" + p.step + "\" of a step that has not failed");
          must(!p.due || p.last_error.has_value(), "has a retry \"" + p.step + "\" that is due although the step has not failed");
          break;
        case step_kind::invoke: {
          const auto child = find<run_record>(table::live_runs, key_of(p.child));
          must(child && child->parent == run.id, "waits for run " + to_string(p.child) + ", which is not a live child of it");
          must(run.has_children, "waits for a child and is marked as having none");
          break;
        }
        case step_kind::send_event: must(false, "waits for an event to be sent"); break;
      }
    }
  }

  void check_index_rows() {
    each_key(table::runs_by_function, [this](std::string_view key) {
      const auto id = *id_at_end<run_id>(key);
      const auto run = find_run(id);
      const auto* def = run ? definition(run->definition) : nullptr;
      require(def != nullptr && hash_text(def->function) == number_at(key), table::runs_by_function, to_string(id),
              "it lists run " + to_string(id) + " under a function that is not its own");
    });
    each_key(table::events_by_name, [this](std::string_view key) {
      const auto id = *id_at_end<event_id>(key);
      const auto event = find<event_record>(table::events, key_of(id));
      require(event && hash_text(event->name) == number_at(key), table::events_by_name, to_string(id),
              "it lists event " + to_string(id) + " under a name that is not its own");
    });
    each_key(table::children, [this](std::string_view key) {
      const auto parent = *id_at_end<run_id>(key.substr(0, id_bytes));
      const auto child = *id_at_end<run_id>(key);
      const auto run = find<run_record>(table::live_runs, key_of(child));
      require(run && run->parent == parent, table::children, to_string(child),
              "it lists run " + to_string(child) + " under run " + to_string(parent) + ", and it is no live child of that");
    });
    each_key(table::runs_by_event, [this](std::string_view key) {
      const auto event = *id_at_end<event_id>(key.substr(0, id_bytes));
      const auto id = *id_at_end<run_id>(key);
      const auto run = find_run(id);
      require(run && std::ranges::count(events_of(*run), event) > 0 && !run->replay_of.is_nil(), table::runs_by_event, to_string(id),
              "it lists run " + to_string(id) + " as a replay for event " + to_string(event) + ", which it is not");
    });
  }

  // All rows of a run stand together: one pass, and the runs without any need no look.
  void check_steps() {
    std::optional<run_record> run;
    run_id current;
    std::uint32_t expected = 0;
    std::uint64_t bytes = 0;
    std::uint64_t runs_with_steps = 0;
    const auto finish = [&] {
      if (!run) return;
      require(expected == run->step_count, table::steps, to_string(current),
              "run " + to_string(current) + " has " + std::to_string(expected) + " rows; its record says " + std::to_string(run->step_count));
      require(bytes == run->state_bytes, table::steps, to_string(current),
              "the results of run " + to_string(current) + " have " + std::to_string(bytes) + " bytes; its record says " + std::to_string(run->state_bytes));
      if (run->step_count > 0) ++runs_with_steps;
    };
    each<step_record>(table::steps, [&](std::string_view key, const step_record& step) {
      const auto id = *id_at_end<run_id>(key.substr(0, id_bytes));
      if (!run || id != current) {
        finish();
        current = id;
        run = find_run(id);
        expected = 0;
        bytes = 0;
        require(run.has_value(), table::steps, to_string(id), "run " + to_string(id) + " is not stored, and has steps");
      }
      const auto sequence = static_cast<std::uint32_t>(number_at(std::string(4, '\0') + std::string{key.substr(id_bytes)}));
      require(!run || sequence == expected, table::steps, to_string(id),
              "run " + to_string(id) + " has a row " + std::to_string(sequence) + " where row " + std::to_string(expected) + " must be");
      ++expected;
      bytes += step.result.bytes().size();
    });
    finish();
    std::uint64_t due = 0;
    for (const auto where : {table::live_runs, table::ended_runs}) {
      each<run_record>(where, [&](std::string_view, const run_record& record) {
        if (record.step_count == 0) return;
        ++due;
        require(contains(table::steps, step_key(record.id, 0)), where, to_string(record.id),
                "run " + to_string(record.id) + " has " + std::to_string(record.step_count) + " steps on record, and no rows");
      });
    }
    require(due == runs_with_steps || !report_.faults.empty(), table::steps, {}, "rows and records of runs disagree");
  }

  void check_outbox() {
    each<outbox_record>(table::outbox, [this](std::string_view key, const outbox_record& record) {
      const auto place = *id_at_end<position>(key);
      check_id(table::outbox, place);
      const auto run = find<run_record>(table::ended_runs, key_of(record.run));
      const bool fits = run && (record.kind == system_event::finished || (record.kind == system_event::failed && run->status == run_status::failed) ||
                                (record.kind == system_event::cancelled && run->status == run_status::cancelled));
      require(fits, table::outbox, to_string(place), "it holds a decision on run " + to_string(record.run) + " that does not fit how it ended");
    });
  }

  void check_sweeps_and_jobs() {
    std::set<bulk_id> worked_off;
    each<sweep_record>(table::sweeps, [&](std::string_view key, const sweep_record& record) {
      const auto place = *id_at_end<position>(key);
      check_id(table::sweeps, place);
      const auto must = [&](bool holds, const std::string& text) { require(holds, table::sweeps, to_string(place), text); };
      switch (record.kind) {
        case sweep_kind::event: must(contains(table::events, key_of(record.event)), "event " + to_string(record.event) + " is not stored"); break;
        case sweep_kind::bulk: {
          const auto job = find<bulk_record>(table::bulk_jobs, key_of(record.bulk));
          must(job && job->status == bulk_status::working, "bulk job " + to_string(record.bulk) + " is not stored, or not under way");
          worked_off.insert(record.bulk);
          break;
        }
        case sweep_kind::tree: must(!record.root.is_nil(), "the descendants of no run are being cancelled"); break;
        case sweep_kind::resume: must(!record.function.empty(), "no function is being resumed"); break;
      }
    });
    each<bulk_record>(table::bulk_jobs, [&](std::string_view key, const bulk_record& job) {
      const auto id = *id_at_end<bulk_id>(key);
      const auto must = [&](bool holds, const std::string& text) {
        require(holds, table::bulk_jobs, to_string(id), "bulk job " + to_string(id) + " " + text);
      };
      check_id(table::bulk_jobs, id);
      const bool is_working = job.status == bulk_status::working;
      must(is_working == worked_off.contains(id), "is under way and nobody works on it, or the reverse");
      must(is_working || job.ended_at.has_value(), "has ended at no time");
      must(!is_working || job.plan.is_nil() || contains(table::plans, key_of(job.plan)), "works on a plan that is not stored");
    });
  }

  void check_plans() {
    std::uint64_t chunks = 0;
    each<plan_record>(table::plans, [&](std::string_view key, const plan_record& plan) {
      const auto id = *id_at_end<plan_id>(key);
      std::uint64_t ids = 0;
      std::uint32_t chunk = 0;
      std::string last;
      bool is_good = true;
      for (; chunk * std::uint64_t{plan_chunk_ids} < plan.ids; ++chunk) {
        const auto part = find<plan_chunk_record>(table::plan_ids, step_key(id_cast<run_id>(id), chunk));
        if (!part || part->ids.empty() || part->ids.size() % id_bytes != 0) {
          is_good = false;
          break;
        }
        for (std::size_t at = 0; at < part->ids.size(); at += id_bytes, ++ids) {
          const auto next = part->ids.substr(at, id_bytes);
          is_good = is_good && (last.empty() || last < next);
          last = next;
        }
      }
      chunks += chunk;
      require(is_good && ids == plan.ids, table::plans, to_string(id), "plan " + to_string(id) + " does not have its " + std::to_string(plan.ids) + " ids in order");
    });
    require(chunks == count(table::plan_ids) || !report_.faults.empty(), table::plan_ids, {}, "it has parts of plans that are not stored");
  }

  const std::size_t most_faults_;
  verify_report report_;
  page_file file_;
  position last_id_;
  std::map<std::uint64_t, definition_record> definitions_;
};

}  // namespace

verify_report check_file(const page_source& source, std::size_t most_faults) { return checker{source, most_faults}.run(); }

}  // namespace caesura::storage
