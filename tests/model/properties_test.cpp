#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <deque>
#include <gradflow/model/model.hpp>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "scalars.hpp"
#include "support/equation1.hpp"

/// What holds of the model on every task and at every G and A, drawn by RapidCheck, which makes a failing case small
/// before it prints it; then the same numbers in samples of every length, in batches of every size.
namespace gradflow {
namespace {

using Words = std::vector<Index>;
using Numbers = std::vector<double>;

constexpr double epsilon = std::numeric_limits<double>::epsilon();  // twice the rounding of one operation
constexpr std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// A task with G [d] and A [d, d] (key, query), of which the model is given what stands on its pairs.
struct Scene {
  TaskData data;
  Numbers G;
  Matrix<double> A;
};

/// The model at one G and A.
template <class Real>
struct Evaluated {
  Task task;
  Model<Real> model{task};
  typename Model<Real>::Forward forward;
  std::vector<Real> G, A, gV, gA;  // A, gA [pairs]

  explicit Evaluated(const Scene& scene) : Evaluated(scene.data, {scene.G.begin(), scene.G.end()}, scene.A) {}
  Evaluated(const TaskData& data, std::vector<Real> values, const Matrix<Real>& scores)
      : task(data), G(std::move(values)) {
    for (Index j = 0; j < std::ssize(model.pairs().queries()); ++j)
      for (Index p = model.pairs().begin(j); p < model.pairs().begin(j + 1); ++p)
        A.push_back(scores(model.pairs().key(p), model.pairs().queries()[at(j)]));
    model.forward(G, A, forward);
    gV.assign(G.size(), Real(0));  // of unused words, which the model leaves alone
    gA.assign(A.size(), Real(99));
    model.coefficients(G, forward, gV, gA);
  }
  Evaluated(const Evaluated&) = delete;  // the model knows where the task stands

  /// gA [d, d]: key, query.
  Matrix<Real> gA_matrix() const {
    Matrix<Real> matrix = Matrix<Real>::Zero(task.words(), task.words());
    for (Index j = 0; j < std::ssize(model.pairs().queries()); ++j)
      for (Index p = model.pairs().begin(j); p < model.pairs().begin(j + 1); ++p)
        matrix(model.pairs().key(p), model.pairs().queries()[at(j)]) = gA[at(p)];
    return matrix;
  }
};

rc::Gen<Index> below(Index bound) { return rc::gen::resize(rc::kNominalSize, rc::gen::inRange<Index>(0, bound)); }

/// Multiples of scale 2^-20 in [-scale, scale), scale a power of two: sums and differences of such numbers are exact.
rc::Gen<double> dyadic(double scale) {
  constexpr Index one = Index{1} << 20;
  return rc::gen::map(below(2 * one), [=](Index v) {  // 0, -1, 1, -2, ...: what fails shrinks to 0
    return scale * static_cast<double>(v % 2 == 0 ? v / 2 : -(v + 1) / 2) / static_cast<double>(one);
  });
}

/// Up to 10 samples of 1 to 8 tokens over 2 to 7 words, some repeated, some unused; attention from weak to hard.
Scene any_scene() {
  Scene scene;
  const Index d = scene.data.words = 2 + *below(6).as("words - 2");
  const auto sample = rc::gen::nonEmpty(rc::gen::resize(8, rc::gen::container<Words>(below(d))));
  scene.data.tokens =
      *rc::gen::nonEmpty(rc::gen::scale(0.1, rc::gen::container<std::vector<Words>>(sample))).as("tokens");
  const std::size_t n = scene.data.tokens.size();
  scene.data.labels = *rc::gen::container<std::vector<int>>(n, rc::gen::element(1, -1)).as("labels");
  const double G_scale = *rc::gen::element(1.0, 0x1p-7, 16.0).as("scale of G");
  const double A_scale = *rc::gen::element(1.0, 0x1p-7, 32.0).as("scale of A");
  scene.G = *rc::gen::container<Numbers>(at(d), dyadic(G_scale)).as("G");
  const Numbers A = *rc::gen::container<Numbers>(at(d * d), dyadic(A_scale)).as("A, query by query");
  scene.A = Eigen::Map<const Matrix<double>>(A.data(), d, d);
  return scene;
}

/// Bounds of the rounding errors, from the largest G, the longest sample L, the most distinct words l and n samples.
struct Rounding {
  double G = 0, L = 0, l = 0, n = 0;

  explicit Rounding(const Scene& scene) : n(static_cast<double>(scene.data.tokens.size())) {
    for (const double value : scene.G) G = std::max(G, std::abs(value));
    for (const Words& sample : scene.data.tokens) {
      L = std::max(L, static_cast<double>(sample.size()));
      l = std::max(l, static_cast<double>(std::set<Index>(sample.begin(), sample.end()).size()));
    }
  }
  /// Relative: two exponentials (1 ulp), two products and a quotient (1/2), a sum of l terms (l - 1 times 1/2). The
  /// scores' differences are exact.
  double attention() const { return (l / 2 + 3) * epsilon; }
  /// A head is a sum of l products, off by l/2 more, and at most G; a margin the sum of at most l heads that count L.
  double margin() const { return (attention() + l * epsilon) * L * G; }
  /// g'(z) is at most 1/4; besides an exponential, a sum and a quotient.
  double residual() const { return margin() / 4 + 3 * epsilon; }
  /// The mean over n samples of r_i, and L weights off by the attention's error, added up n L times.
  double gV() const { return L * (residual() + attention() + (n + 1) * L * epsilon); }
  /// The same times G(k) - h, at most 2 G, which is itself off by less than margin().
  double gA() const { return 2 * G * gV() + L * (margin() + G * epsilon); }
};

RC_GTEST_PROP(ModelProperties, AttentionIsPositiveAndSumsToOne, ()) {
  const Scene scene = any_scene();
  const Evaluated<double> out(scene);
  const double* P = out.forward.attention.data();
  for (Index i = 0; i < out.task.samples(); ++i)
    for (Index l = out.task.bag(i).size(), q = 0; q < l; ++q, P += l) {
      for (Index k = 0; k < l; ++k) RC_ASSERT(0 < P[k] && P[k] <= 1);
      // l quotients by one sum, 1/2 each, and what adding them up again loses.
      RC_ASSERT(std::abs(std::accumulate(P, P + l, 0.0) - 1) <= static_cast<double>(l) * epsilon);
    }
  RC_ASSERT(P == out.forward.attention.data() + out.forward.attention.size());
}

RC_GTEST_PROP(ModelProperties, AConstantAddedToAQuerysScoresChangesNoBit, ()) {
  Scene scene = any_scene();
  const Evaluated<double> before(scene);
  for (Index query = 0; query < scene.data.words; ++query) scene.A.col(query).array() += *dyadic(1024).as("constant");
  const Evaluated<double> after(scene);
  RC_ASSERT(after.forward.attention == before.forward.attention);
  RC_ASSERT(after.forward.margin == before.forward.margin);
  RC_ASSERT(after.forward.loss == before.forward.loss);
  RC_ASSERT(after.gA == before.gA);
}

RC_GTEST_PROP(ModelProperties, CoefficientsAddUpAsAttentionDoes, ()) {
  const Scene scene = any_scene();
  const Evaluated<double> out(scene);
  const Rounding rounding(scene);
  // Every query's attention sums to 1, so that its scores' gradient sums to 0, and that of the values to L_i r_i.
  for (Index j = 0; j < std::ssize(out.model.pairs().queries()); ++j) {
    double sum = 0;
    for (Index p = out.model.pairs().begin(j); p < out.model.pairs().begin(j + 1); ++p) sum += out.gA[at(p)];
    RC_ASSERT(std::abs(sum) <= static_cast<double>(scene.data.words) * rounding.gA());
  }
  double sum = 0;
  for (std::size_t i = 0; i < scene.data.tokens.size(); ++i)
    sum += scene.data.labels[i] * out.forward.residual[i] * static_cast<double>(scene.data.tokens[i].size());
  const double gV = std::accumulate(out.gV.begin(), out.gV.end(), 0.0);
  RC_ASSERT(std::abs(gV - sum / rounding.n) <= static_cast<double>(scene.data.words) * rounding.gV());
  for (Index word = 0; word < scene.data.words; ++word)
    RC_ASSERT(out.gV[at(word)] == 0 || std::ranges::count(out.task.used_words(), word) == 1);
}

/// A random order of 0..size-1.
Words any_order(std::size_t size) {
  Words order(size);
  std::iota(order.begin(), order.end(), Index{0});
  for (std::size_t k = 0; k + 1 < size; ++k)
    std::swap(order[k], order[k + at(*below(static_cast<Index>(size - k)).as("swapped with"))]);
  return order;
}

RC_GTEST_PROP(ModelProperties, OrderOfSamplesAndNamesOfWordsMeanNothing, ()) {
  const Scene scene = any_scene();
  const Words place = any_order(scene.data.tokens.size()), name = any_order(scene.G.size());
  Scene other = scene;
  for (std::size_t i = 0; i < place.size(); ++i) {
    Words& sample = other.data.tokens[at(place[i])] = scene.data.tokens[i];
    for (Index& word : sample) word = name[at(word)];
    other.data.labels[at(place[i])] = scene.data.labels[i];
  }
  for (std::size_t k = 0; k < name.size(); ++k) other.G[at(name[k])] = scene.G[k];
  for (Index k = 0; k < scene.data.words; ++k)
    for (Index q = 0; q < scene.data.words; ++q) other.A(name[at(k)], name[at(q)]) = scene.A(k, q);

  const Evaluated<double> a(scene), b(other);
  const Rounding rounding(scene);  // twice: words that are called otherwise are added up in another order
  for (std::size_t i = 0; i < place.size(); ++i) {
    RC_ASSERT(std::abs(a.forward.margin[i] - b.forward.margin[at(place[i])]) <= 2 * rounding.margin());
    RC_ASSERT(std::abs(a.forward.residual[i] - b.forward.residual[at(place[i])]) <= 2 * rounding.residual());
  }
  const double loss = a.forward.loss;  // a mean of n terms
  RC_ASSERT(std::abs(loss - b.forward.loss) <= 2 * rounding.margin() + (rounding.n + 6) * epsilon * loss);
  const Matrix<double> gA = a.gA_matrix(), other_gA = b.gA_matrix();
  for (Index k = 0; k < scene.data.words; ++k) {
    RC_ASSERT(std::abs(a.gV[at(k)] - b.gV[at(name[at(k)])]) <= 2 * rounding.gV());
    for (Index q = 0; q < scene.data.words; ++q)
      RC_ASSERT(std::abs(gA(k, q) - other_gA(name[at(k)], name[at(q)])) <= 2 * rounding.gA());
  }
}

RC_GTEST_PROP(ModelProperties, AgreesWithEquation1TokenByToken, ()) {
  const Scene scene = any_scene();
  const Evaluated<double> out(scene);
  const Rounding rounding(scene);
  Vector<long double> G(scene.data.words);
  std::ranges::copy(scene.G, G.begin());
  const auto exact = tests::equation1<long double>(scene.data, G, scene.A.cast<long double>());
  const auto error = [](double found, long double sought) {
    return static_cast<double>(std::abs(static_cast<long double>(found) - sought));
  };
  for (std::size_t i = 0; i < scene.data.tokens.size(); ++i) {
    RC_ASSERT(error(out.forward.margin[i], exact.margin[i]) <= rounding.margin());
    RC_ASSERT(error(out.forward.residual[i], exact.residual[i]) <= rounding.residual());
    // l'(z) is at most 1; besides an exponential, a logarithm and a difference.
    const double loss = out.forward.sample_loss[i];
    RC_ASSERT(error(loss, exact.sample_loss[i]) <= rounding.margin() + 3 * epsilon * loss);
  }
  const Matrix<double> gA = out.gA_matrix();
  for (Index k = 0; k < scene.data.words; ++k) {
    RC_ASSERT(error(out.gV[at(k)], exact.gV[k]) <= rounding.gV());
    for (Index q = 0; q < scene.data.words; ++q) RC_ASSERT(error(gA(k, q), exact.gA(k, q)) <= rounding.gA());
  }
}

RC_GTEST_PROP(ModelProperties, CoefficientsAreMinusTheLosssDerivatives, ()) {
  const Scene scene = any_scene();
  const Index d = scene.data.words;
  const Evaluated<double> out(scene);
  const Rounding rounding(scene);
  const Numbers G_direction = *rc::gen::container<Numbers>(at(d), dyadic(1)).as("direction of G");
  const Numbers A_direction = *rc::gen::container<Numbers>(at(d * d), dyadic(1)).as("direction of A");
  const Eigen::Map<const Matrix<double>> A_step(A_direction.data(), d, d);
  // Central differences in quadruple precision, so that they are better than what they judge. Along either direction
  // the third derivative of the loss is at most 2 (1 + x)^3: that of log(1 + e^-z) is below 0.1 and z' at most L, and
  // the derivatives of a head along A are joint cumulants of G and a number between -1 and 1. A step of h = 2^-40
  // leaves h^2 / 3 (1 + x)^3 < 5e-18 of it, and 1/h times the rounding of two losses, which is 2^-60 of that in double.
  const Quad h = Quad(0x1p-40);
  const double x = 2 * rounding.L * std::max(1.0, rounding.G), loss = out.forward.loss;
  const double difference_error = 0x1p-80 / 3 * std::pow(1 + x, 3) +
                                  0x1p40 * 0x1p-60 * (rounding.margin() + (rounding.n + 6) * epsilon * (1 + loss));
  const auto slope = [&](double along_G, double along_A) {
    const auto loss_at = [&](const Quad& step) {
      std::vector<Quad> G(scene.G.begin(), scene.G.end());
      for (std::size_t k = 0; k < G.size(); ++k) G[k] += step * along_G * G_direction[k];
      const Matrix<Quad> A = scene.A.cast<Quad>() + step * Quad(along_A) * A_step.cast<Quad>();
      return Evaluated<Quad>(scene.data, G, A).forward.loss;
    };
    return static_cast<double>((loss_at(h) - loss_at(-h)) / (2 * h));
  };
  const double along_G = std::inner_product(out.gV.begin(), out.gV.end(), G_direction.begin(), 0.0);
  RC_ASSERT(std::abs(along_G + slope(1, 0)) <= static_cast<double>(d) * rounding.gV() + difference_error);
  const double along_A = out.gA_matrix().cwiseProduct(A_step).sum();
  RC_ASSERT(std::abs(along_A + slope(0, 1)) <= static_cast<double>(d * d) * rounding.gA() + difference_error);
}

RC_GTEST_PROP(ModelProperties, OtherLabelsTurnTheMarginsRound, ()) {
  Scene scene = any_scene();
  const Evaluated<double> a(scene);
  for (int& label : scene.data.labels) label = -label;
  const Evaluated<double> b(scene);
  for (std::size_t i = 0; i < scene.data.tokens.size(); ++i) {
    const double z = a.forward.margin[i], loss = a.forward.sample_loss[i], other_loss = b.forward.sample_loss[i];
    RC_ASSERT(b.forward.margin[i] == -z);
    // g(-z) = 1 - g(z) and l(-z) = l(z) + z, where each g and l keeps 3 epsilon of itself.
    RC_ASSERT(std::abs(a.forward.residual[i] + b.forward.residual[i] - 1) <= 4 * epsilon);
    RC_ASSERT(std::abs(other_loss - loss - z) <= 4 * epsilon * (loss + other_loss));
  }
}

/// Powers of ten from 1e-300 to nearly the largest number, with either sign, and 0.
rc::Gen<double> of_any_size(double largest) {
  return rc::gen::map(rc::gen::pair(below(609), rc::gen::element(1.0, -1.0, 0.0)),
                      [=](const std::pair<Index, double>& v) {
                        return v.second * largest * std::pow(10.0, -static_cast<double>(v.first));
                      });
}

RC_GTEST_PROP(ModelProperties, NothingOverflowsAtAnySizeOfValuesAndScores, ()) {
  Scene scene = any_scene();
  const Rounding sizes(scene);
  const Index d = scene.data.words;
  // 2 G(k), the sum over L tokens and that of n losses still are numbers. Scores may be further apart than any number.
  scene.G = *rc::gen::container<Numbers>(at(d), of_any_size(1e308 / (2 * sizes.L * sizes.n))).as("G");
  const Numbers A = *rc::gen::container<Numbers>(at(d * d), of_any_size(1e308)).as("A");
  scene.A = Eigen::Map<const Matrix<double>>(A.data(), d, d);
  const Evaluated<double> out(scene);
  const double largest = Rounding(scene).G;
  for (const double P : out.forward.attention) RC_ASSERT(0 <= P && P <= 1);
  for (std::size_t i = 0; i < scene.data.tokens.size(); ++i) {
    const double z = out.forward.margin[i], L = static_cast<double>(scene.data.tokens[i].size());
    RC_ASSERT(std::abs(z) <= L * largest + Rounding(scene).margin());
    RC_ASSERT(0 <= out.forward.residual[i] && out.forward.residual[i] <= 1);
    RC_ASSERT(out.forward.sample_loss[i] >= std::max(0.0, -z));
    RC_ASSERT(out.forward.sample_loss[i] <= std::max(0.0, -z) + 0.7);  // log 2 = 0.693
  }
  RC_ASSERT(std::isfinite(out.forward.loss));
  // Sums of n L terms, in which each of the n samples has at most L / n.
  for (const double g : out.gV) RC_ASSERT(std::abs(g) <= sizes.L * (1 + (sizes.n * sizes.L + 8) * epsilon));
  for (const double g : out.gA) RC_ASSERT(std::isfinite(g));
}

TEST(ModelNumbers, TiesAreExactAtAnyScore) {
  for (const double score : {0.0, 0.1, -1e3, 1e308, -1e308}) {
    Scene scene;
    scene.data.words = 4;
    scene.data.tokens = {{0, 1, 3, 3, 3}};
    scene.data.labels = {1};
    scene.G = {0x1p1000, -0x1p1000, 5, 0};  // powers of two, whose products are exact
    scene.A = Matrix<double>::Constant(4, 4, score);
    const Evaluated<double> tie(scene);  // c_ik / L, rounded once
    EXPECT_EQ(tie.forward.attention, (Numbers{0.2, 0.2, 0.6, 0.2, 0.2, 0.6, 0.2, 0.2, 0.6})) << score;
    EXPECT_EQ(tie.forward.margin, Numbers{0});
    EXPECT_EQ(tie.forward.residual, Numbers{0.5});
    EXPECT_NEAR(tie.forward.loss, std::log(2.0), epsilon);  // two library functions, an ulp of 0.69 each
  }
}

/// All that the model says of a task of one sample, against equation 1 in quadruple precision.
void expect_accurate(const Evaluated<double>& out, const Scene& scene) {
  Vector<Quad> G(scene.data.words);
  std::ranges::copy(scene.G, G.begin());
  const auto exact = tests::equation1<Quad>(scene.data, G, scene.A.cast<Quad>());
  const Words& tokens = scene.data.tokens[0];
  const Bag bag = out.task.bag(0);
  const Rounding rounding(scene);
  double sum_of_sizes = 0;  // sum_q c_q sum_k P_q(k) |G(k)|, to which the margin's rounding is relative
  for (Index l = bag.size(), q = 0; q < l; ++q)
    for (Index k = 0; k < l; ++k) {
      Quad P = 0;
      const auto query = std::ranges::find(tokens, bag.words[at(q)]) - tokens.begin();
      for (Index key = 0; key < std::ssize(tokens); ++key)
        if (tokens[at(key)] == bag.words[at(k)]) P += exact.attention[0](key, query);
      const double expected = static_cast<double>(P);
      EXPECT_NEAR(out.forward.attention[at(q * l + k)], expected, rounding.attention() * expected);
      sum_of_sizes += static_cast<double>(bag.counts[at(q)]) * expected * std::abs(scene.G[at(bag.words[at(k)])]);
    }
  const double z_error = (rounding.attention() + rounding.l * epsilon) * sum_of_sizes;
  const double g = static_cast<double>(exact.residual[0]), loss = static_cast<double>(exact.sample_loss[0]);
  EXPECT_NEAR(out.forward.margin[0], static_cast<double>(exact.margin[0]), z_error);
  EXPECT_NEAR(out.forward.residual[0], g, g * (z_error + 3 * epsilon));
  EXPECT_NEAR(out.forward.sample_loss[0], loss, g * z_error + 3 * epsilon * loss);
}

constexpr Index longest = 9, most = 35;  // words in a sample, samples in a batch

/// `alone[l - 1][i]`: sample i of those with l words, every second one with a repeated word, in a task of its own.
struct Singles {
  std::vector<std::vector<Scene>> scenes{at(longest)};
  std::vector<std::deque<Evaluated<double>>> alone{at(longest)};

  Singles() {
    std::mt19937_64 generator(1);
    const auto dyadic = [&](double scale) { return scale * (static_cast<double>(generator() >> 43U) * 0x1p-20 - 1); };
    Scene scene;
    scene.data.words = longest + 2;
    scene.G.resize(at(scene.data.words));
    scene.A.resize(scene.data.words, scene.data.words);
    std::ranges::generate(scene.G, [&] { return dyadic(2); });
    std::ranges::generate(scene.A.reshaped(), [&] { return dyadic(16); });
    Words words(at(scene.data.words));
    std::iota(words.begin(), words.end(), Index{0});
    for (Index l = 1; l <= longest; ++l)
      for (Index i = 0; i < most; ++i) {
        std::ranges::shuffle(words, generator);
        scene.data.tokens = {Words(words.begin(), words.begin() + l)};
        if (i % 2 == 1) scene.data.tokens[0].push_back(words[0]);
        scene.data.labels = {generator() % 2 == 0 ? 1 : -1};
        scenes[at(l - 1)].push_back(scene);
        alone[at(l - 1)].emplace_back(scene);
      }
  }
};

TEST(ModelNumbers, AreAccurateInSamplesOfEveryLength) {
  const Singles singles;
  for (std::size_t l = 0; l < at(longest); ++l)
    for (std::size_t i = 0; i < at(most); ++i) {
      SCOPED_TRACE(std::to_string(l + 1) + " words, sample " + std::to_string(i));
      expect_accurate(singles.alone[l][i], singles.scenes[l][i]);
    }
}

TEST(ModelNumbers, AreTheSameBitsInBatchesOfEverySize) {
  const Singles singles;
  std::set<std::pair<std::size_t, Index>> met;  // place modulo the vector's width of 8, words
  for (Index n = 1; n <= most; ++n)
    for (Index length = 1; length <= longest; ++length) {
      // Samples of one word come first and move the others to every place.
      const auto words = [&](Index i) { return i < n / 2 % 8 ? 1 : length; };
      Scene batch = singles.scenes[0][0];
      batch.data.tokens.clear();
      batch.data.labels.clear();
      for (Index i = 0; i < n; ++i) {
        const TaskData& single = singles.scenes[at(words(i) - 1)][at(i)].data;
        batch.data.tokens.push_back(single.tokens[0]);
        batch.data.labels.push_back(single.labels[0]);
      }
      const Evaluated<double> out(batch);
      double sum = 0;
      auto P = out.forward.attention.begin();
      auto h = out.forward.head.begin();
      for (Index i = 0; i < n; ++i) {
        SCOPED_TRACE(std::to_string(n) + " samples of " + std::to_string(length) + ": " + std::to_string(i));
        const auto& alone = singles.alone[at(words(i) - 1)][at(i)].forward;
        met.emplace((P - out.forward.attention.begin()) % 8, words(i));
        ASSERT_TRUE(std::ranges::equal(std::span(P, alone.attention.size()), alone.attention));
        ASSERT_TRUE(std::ranges::equal(std::span(h, alone.head.size()), alone.head));
        ASSERT_EQ(out.forward.margin[at(i)], alone.margin[0]);
        ASSERT_EQ(out.forward.residual[at(i)], alone.residual[0]);
        ASSERT_EQ(out.forward.sample_loss[at(i)], alone.sample_loss[0]);
        sum += alone.loss;
        P += std::ssize(alone.attention);
        h += std::ssize(alone.head);
      }
      EXPECT_EQ(P, out.forward.attention.end());
      EXPECT_EQ(out.forward.loss, sum / static_cast<double>(n));
    }
  EXPECT_EQ(met.size(), at(8 * longest));
}

TEST(ModelNumbers, AttentionIsAccurateDownToTheSmallestNormalNumber) {
  Scene scene;
  scene.data.words = 2;
  scene.data.tokens = {{0, 1}};
  scene.data.labels = {1};
  scene.G = {1, -1};
  scene.A = Matrix<double>::Zero(2, 2);
  const double underflow = -std::log(std::numeric_limits<double>::min());
  for (double x = 0; x < 800; x += 0.0625) {
    scene.A(1, 0) = -x;
    const Evaluated<double> out(scene);
    const Quad e = exp(Quad(-x));
    const double expected = x <= underflow ? static_cast<double>(Quad(e / (1 + e))) : 0;
    EXPECT_NEAR(out.forward.attention[1], expected, Rounding(scene).attention() * expected) << x;
  }
}

TEST(ModelNumbers, AttentionHasTheSameBitsWhereverItsNumbersStand) {
  // A compiler may sum in another way where what is read stands close behind what is written, or off its alignment.
  for (std::size_t l = 2; l < 20; ++l) {
    std::vector<Index> counts(l, 1);
    counts.back() = 3;
    const auto evaluate = [&](std::size_t begin, std::size_t gap) {
      std::vector<double> room(begin + l * l + gap + l), h(l);
      const std::span<double> P(room.data() + begin, l * l), G(P.data() + P.size() + gap, l);
      for (std::size_t i = 0; i < P.size(); ++i) P[i] = 3 * std::sin(static_cast<double>(7 * i + 1));
      for (std::size_t k = 0; k < l; ++k) G[k] = std::cos(static_cast<double>(5 * k + 2));
      const double F = attend<double>(counts, G, P, h);
      const std::vector<double> attention(P.begin(), P.end());
      std::vector<double> gV(l);
      coefficients<double>(0.3, counts, G, h, P, gV);
      return std::tuple(F, attention, h, gV, std::vector<double>(P.begin(), P.end()));
    };
    const auto expected = evaluate(0, 1000);
    for (std::size_t begin = 0; begin < 8; ++begin)
      for (std::size_t gap = 0; gap < 20; ++gap)
        EXPECT_EQ(evaluate(begin, gap), expected) << l << " words, " << begin << ", " << gap;
  }
}

}  // namespace
}  // namespace gradflow
