#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "support/equation1.hpp"
#include "support/flow_cases.hpp"

namespace gradflow {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

/// Random G and A on all pairs of words, in long double exactly what the model sees in double.
struct Input {
  Vector<long double> G;
  Matrix<long double> A;
};

Input random_input(Index words, double G_scale, double A_scale, unsigned seed) {
  std::mt19937_64 generator(seed);
  const auto uniform = [&] { return static_cast<double>(generator() >> 11U) * 0x1p-52 - 1; };
  Input input{Vector<long double>(words), Matrix<long double>(words, words)};
  for (auto& v : input.G) v = G_scale * uniform();
  for (auto& v : input.A.reshaped()) v = A_scale * uniform();
  return input;
}

struct Output {
  Model<double>::Forward forward;
  std::vector<double> gV, gA;
};

Output run(const Model<double>& model, const Input& input) {
  const WordPairs& pairs = model.pairs();
  std::vector<double> G, A;
  for (const long double v : input.G) G.push_back(static_cast<double>(v));
  for (std::size_t j = 0; j < pairs.queries().size(); ++j)
    for (Index p = pairs.begin(static_cast<Index>(j)); p < pairs.begin(static_cast<Index>(j) + 1); ++p)
      A.push_back(static_cast<double>(input.A(pairs.key(p), pairs.queries()[j])));
  Output out;
  out.gV.assign(G.size(), 0);
  for (const Index word : model.task().used_words())
    out.gV[static_cast<std::size_t>(word)] = 99;  // what stands there before does not count
  out.gA.assign(A.size(), 99);
  model.forward(G, A, out.forward);
  model.coefficients(G, out.forward, out.gV, out.gA);
  return out;
}

/// Everything the model gives, against the same token by token in long double (64 bits: its own rounding is 2000 times
/// smaller).
void expect_equation1(const TaskData& data, const Input& input) {
  const Task task(data);
  const Model<double> model(task);
  const Output out = run(model, input);
  const auto exact = tests::equation1<long double>(data, input.G, input.A);
  const double G = static_cast<double>(input.G.cwiseAbs().maxCoeff());

  std::size_t place = 0, head = 0;
  for (Index i = 0; i < task.samples(); ++i) {
    const auto sample = static_cast<std::size_t>(i);
    const std::vector<Index>& tokens = data.tokens[sample];
    const Bag bag = task.bag(i);
    const double l = static_cast<double>(bag.words.size()), L = static_cast<double>(tokens.size());
    for (std::size_t q = 0; q < bag.words.size(); ++q, ++head) {
      const auto query = std::find(tokens.begin(), tokens.end(), bag.words[q]) - tokens.begin();
      double sum = 0;
      long double h = 0;
      for (std::size_t k = 0; k < bag.words.size(); ++k, ++place) {
        long double P = 0;
        for (std::size_t key = 0; key < tokens.size(); ++key)
          if (tokens[key] == bag.words[k]) P += exact.attention[sample](static_cast<Index>(key), query);
        h += P * input.G[bag.words[k]];
        sum += out.forward.attention[place];
        // Exponential 1 ulp, its argument half an ulp of at most 1 (x e^-x <= 1/e), the sum of l terms l / 2, product
        // and quotient 1/2 each.
        EXPECT_NEAR(out.forward.attention[place], static_cast<double>(P), (l / 2 + 3) * epsilon);
      }
      EXPECT_NEAR(sum, 1, l * epsilon);  // l quotients and l - 1 sums, half an ulp each
      EXPECT_NEAR(out.forward.head[head], static_cast<double>(h), l * (l + 4) * epsilon * G);
    }
    const double z_error = L * l * (l + 4) * epsilon * G;  // the heads' error, added up over L queries
    EXPECT_NEAR(out.forward.margin[sample], static_cast<double>(exact.margin[sample]), z_error);
    EXPECT_NEAR(out.forward.residual[sample], static_cast<double>(exact.residual[sample]), z_error + 2 * epsilon);
    const double loss = static_cast<double>(exact.sample_loss[sample]);
    EXPECT_NEAR(out.forward.sample_loss[sample], loss, z_error + 2 * epsilon * (1 + loss));
  }
  EXPECT_EQ(place, out.forward.attention.size());
  const double n = static_cast<double>(task.samples()), loss = static_cast<double>(exact.loss);
  const double L = static_cast<double>(std::ranges::max(data.tokens, {}, &std::vector<Index>::size).size());
  EXPECT_NEAR(out.forward.loss, loss, L * L * (L + 4) * epsilon * G + (n + 2) * epsilon * (1 + loss));

  // The sum over samples of r_i, off by the residual's error, times weights that are at most L; n terms of size L / n.
  const double weight_error = (L * L * (L + 4) * G + n + L + 8) * L * epsilon;
  for (Index k = 0; k < data.words; ++k)
    EXPECT_NEAR(out.gV[static_cast<std::size_t>(k)], static_cast<double>(exact.gV[k]), weight_error);
  const WordPairs& pairs = model.pairs();
  for (std::size_t j = 0; j < pairs.queries().size(); ++j)
    for (Index p = pairs.begin(static_cast<Index>(j)); p < pairs.begin(static_cast<Index>(j) + 1); ++p)
      EXPECT_NEAR(out.gA[static_cast<std::size_t>(p)], static_cast<double>(exact.gA(pairs.key(p), pairs.queries()[j])),
                  4 * G * weight_error);
}

TEST(ModelTest, AgreesWithEquation1TokenByToken) {
  for (const tests::NamedTask& task : tests::tasks())
    for (const double G : {0.01, 1.0, 20.0})
      for (const double A : {0.0, 0.1, 3.0, 40.0, 1e4}) {
        SCOPED_TRACE(task.name + ", G " + std::to_string(G) + ", A " + std::to_string(A));
        expect_equation1(task.data, random_input(task.data.words, G, A, 1));
      }
}

TEST(ModelTest, AgreesWithEquation1AtEveryLengthOfTheVectorTail) {
  std::mt19937_64 generator(2);
  std::set<std::size_t> tails;
  for (std::size_t n = 1; n <= 64; ++n) {
    std::vector<std::vector<Index>> tokens(n);
    std::vector<int> labels;
    for (auto& sample : tokens) {
      for (std::uint64_t length = 1 + generator() % 5; length > 0; --length)
        sample.push_back(static_cast<Index>(generator() % 6));
      labels.push_back(generator() % 2 == 0 ? 1 : -1);
    }
    const TaskData data = tests::task_of(6, tokens, labels);
    SCOPED_TRACE(n);
    expect_equation1(data, random_input(6, 1, 2, 3));
    const Task task(data);
    std::size_t entries = 0;
    for (Index i = 0; i < task.samples(); ++i)
      entries += static_cast<std::size_t>(task.bag(i).size() * task.bag(i).size());
    tails.insert(entries % 8);
  }
  EXPECT_EQ(tails.size(), 8U);
}

/// The only sample is one word, so that z = y G(0) exactly.
Model<double>::Forward at_margin(double z, int label) {
  const Task task(tests::task_of(4, {{0}}, {label}));
  const Model<double> model(task);
  Model<double>::Forward forward;
  const std::vector<double> G{label * z, 0, 0, 0}, A{0.7};
  model.forward(G, A, forward);
  return forward;
}

TEST(ModelTest, LossAndResidualKeepTheirRelativeAccuracyAtAnyMargin) {
  for (const double z : {0.0, 1e-9, -1e-9, 0.5, -0.5, 30.0, -30.0, 36.9, -36.9, 700.0, -700.0})
    for (const int label : {1, -1}) {
      const auto forward = at_margin(z, label);
      const Quad e = exp(Quad(-z));
      const double loss = static_cast<double>(log1p(e)), residual = static_cast<double>(e / (1 + e));
      EXPECT_EQ(forward.margin[0], z);
      // Exponential and logarithm 1 ulp each, sum and quotient half a one each.
      EXPECT_NEAR(forward.loss, loss, 3 * epsilon * loss) << z;
      EXPECT_NEAR(forward.residual[0], residual, 3 * epsilon * residual) << z;
    }
}

TEST(ModelTest, FarMarginsNeitherOverflowNorTurnIntoNaN) {
  for (const double z : {800.0, 1e5, 1e300}) {
    const auto lost = at_margin(-z, 1);
    EXPECT_EQ(lost.loss, z);  // z + e^-z
    EXPECT_EQ(lost.residual[0], 1);
    const auto won = at_margin(z, -1);  // e^-800 is below the smallest double
    EXPECT_EQ(won.loss, 0);
    EXPECT_EQ(won.residual[0], 0);
  }
}

TEST(ModelTest, HugeScoresGiveHardAttention) {
  const Task task(tests::task_of(3, {{0, 1, 2}}, {1}));
  const Model<double> model(task);
  const std::vector<double> G{1, 2, 4}, A{1e4, 0, -1e4, -1e4, 1e4, 0, 0, 1e4, 1e4};
  Model<double>::Forward forward;
  model.forward(G, A, forward);
  EXPECT_EQ(forward.attention, (std::vector<double>{1, 0, 0, 0, 1, 0, 0, 0.5, 0.5}));  // e^-1e4 is an honest 0
  EXPECT_EQ(forward.margin[0], 1 + 2 + 3);
}

TEST(ModelTest, EqualSamplesGiveEqualBitsWhereverTheyStand) {
  const std::vector<Index> sample{0, 1, 2};  // nine entries: eight copies begin at every place of a vector register
  const TaskData data = tests::task_of(3, std::vector<std::vector<Index>>(9, sample), std::vector<int>(9, 1));
  const Task task(data);
  const Model<double> model(task);
  for (unsigned seed = 0; seed < 50; ++seed) {
    const Output out = run(model, random_input(3, 1, 2, seed));
    for (std::size_t i = 1; i < 9; ++i)
      for (std::size_t entry = 0; entry < 9; ++entry)
        ASSERT_EQ(out.forward.attention[9 * i + entry], out.forward.attention[entry]) << "sample " << i;
  }
}

TEST(ModelTest, OrderOfTokensMeansNothing) {
  for (const tests::NamedTask& named : tests::tasks()) {
    TaskData reversed = named.data;
    for (auto& sample : reversed.tokens) std::ranges::reverse(sample);
    const Task task(named.data), other(reversed);
    const Model<double> model(task), other_model(other);
    const Input input = random_input(task.words(), 1, 2, 4);
    const Output a = run(model, input), b = run(other_model, input);
    EXPECT_EQ(a.forward.margin, b.forward.margin) << named.name;
    EXPECT_EQ(a.forward.attention, b.forward.attention);
    EXPECT_EQ(a.gV, b.gV);
    EXPECT_EQ(a.gA, b.gA);
  }
}

TEST(ModelTest, ForwardForgetsItsEarlierContents) {
  const auto all = tests::tasks();
  const Task large(all[1].data), small(all[4].data);
  const Model<double> large_model(large), small_model(small);
  Output used = run(large_model, random_input(large.words(), 1, 1, 5));
  const Input input = random_input(small.words(), 1, 1, 6);
  const Output fresh = run(small_model, input);
  std::vector<double> G, A;
  for (const long double v : input.G) G.push_back(static_cast<double>(v));
  const WordPairs& pairs = small_model.pairs();
  for (std::size_t j = 0; j < pairs.queries().size(); ++j)
    for (Index p = pairs.begin(static_cast<Index>(j)); p < pairs.begin(static_cast<Index>(j) + 1); ++p)
      A.push_back(static_cast<double>(input.A(pairs.key(p), pairs.queries()[j])));
  small_model.forward(G, A, used.forward);
  EXPECT_EQ(used.forward.attention, fresh.forward.attention);
  EXPECT_EQ(used.forward.head, fresh.forward.head);
  EXPECT_EQ(used.forward.sample_loss, fresh.forward.sample_loss);
  EXPECT_EQ(used.forward.loss, fresh.forward.loss);
}

TEST(WordPairsTest, AreTheWordsThatShareASample) {
  for (const tests::NamedTask& named : tests::tasks()) {
    const Task task(named.data);
    const WordPairs pairs(task);
    std::set<std::pair<Index, Index>> expected;  // query, key
    std::set<Index> queries;
    for (const auto& sample : named.data.tokens)
      for (const Index q : sample) {
        queries.insert(q);
        for (const Index k : sample) expected.emplace(q, k);
      }
    std::vector<std::pair<Index, Index>> found;
    EXPECT_EQ(pairs.begin(0), 0);
    for (std::size_t j = 0; j < pairs.queries().size(); ++j)
      for (Index p = pairs.begin(static_cast<Index>(j)); p < pairs.begin(static_cast<Index>(j) + 1); ++p)
        found.emplace_back(pairs.queries()[j], pairs.key(p));
    EXPECT_EQ(found, std::vector(expected.begin(), expected.end())) << named.name;  // sorted by query, then key
    EXPECT_EQ(std::vector(pairs.queries().begin(), pairs.queries().end()), std::vector(queries.begin(), queries.end()));
    EXPECT_EQ(pairs.size(), std::ssize(expected));
    for (Index i = 0; i < task.samples(); ++i) {
      const Bag bag = task.bag(i);
      const auto of_sample = pairs.of_sample(i);
      ASSERT_EQ(std::ssize(of_sample), bag.size() * bag.size());
      for (std::size_t q = 0, place = 0; q < bag.words.size(); ++q)
        for (std::size_t k = 0; k < bag.words.size(); ++k, ++place)
          EXPECT_EQ(found[static_cast<std::size_t>(of_sample[place])], std::pair(bag.words[q], bag.words[k]));
    }
  }
}

}  // namespace
}  // namespace gradflow
