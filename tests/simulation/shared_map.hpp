#pragma once

// A map whose copies share their values until one of them changes a value: the model is copied at every commit, and little of it changes.

#include <iterator>
#include <map>
#include <memory>
#include <utility>

namespace caesura::simulation {

template <class Key, class Value>
class shared_map {
  using values = std::map<Key, std::shared_ptr<Value>>;

 public:
  class iterator {
   public:
    using value_type = std::pair<const Key&, const Value&>;
    using difference_type = std::ptrdiff_t;

    iterator() = default;
    explicit iterator(typename values::const_iterator at) : at_{at} {}
    value_type operator*() const { return {at_->first, *at_->second}; }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    iterator operator++(int) { return iterator{at_++}; }
    bool operator==(const iterator&) const = default;

   private:
    typename values::const_iterator at_{};
  };

  [[nodiscard]] iterator begin() const { return iterator{values_.begin()}; }
  [[nodiscard]] iterator end() const { return iterator{values_.end()}; }
  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }
  [[nodiscard]] bool contains(const Key& key) const { return values_.contains(key); }
  // nullptr: there is none. What it points to may be changed in place, or be left behind as it was.
  [[nodiscard]] const Value* find(const Key& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : found->second.get();
  }
  [[nodiscard]] const Value& at(const Key& key) const { return *values_.at(key); }
  // The value as this map's own. nullptr: there is none.
  [[nodiscard]] Value* change(const Key& key) {
    const auto found = values_.find(key);
    if (found == values_.end()) return nullptr;
    if (found->second.use_count() > 1) found->second = std::make_shared<Value>(*found->second);
    return found->second.get();
  }
  Value& set(const Key& key, Value value) { return *(values_[key] = std::make_shared<Value>(std::move(value))); }

 private:
  values values_{};
};

}  // namespace caesura::simulation
