#pragma once
#include <gradflow/analysis/claims.hpp>
#include <nlohmann/json.hpp>
#include <string>

/// The paper's claims about a run, for people, for papers and for programs.
namespace gradflow::cli {

/// Conditions first, then claims: an array of objects with the members of Claim.
nlohmann::ordered_json claims_json(const ClaimsReport& report);
/// What is taken for "small" and the like.
nlohmann::ordered_json claim_constants_json(const ClaimOptions& options);

/// At most 120 columns wide.
std::string claims_text(const ClaimsReport& report);
/// Two tables in Markdown, a row for each condition and claim.
std::string claims_markdown(const ClaimsReport& report);

}  // namespace gradflow::cli
