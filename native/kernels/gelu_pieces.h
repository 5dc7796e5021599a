// GELU and its derivative (slope), for results that are rounded to bfloat16. The range of x is cut into pieces of width
// 1/2.9. In each piece, GELU is a polynomial of degree 4, and the slope is the derivative of this polynomial. For each
// power, the coefficients of all pieces fill two vectors, and one instruction looks them up. scripts/fit-gelu.py prints
// the coefficients.
// Before rounding, the error of GELU is at most 1.4e-6, and the error of the slope at most 3.1e-5 (with erf and with
// tanh). For x ≥ −4, relative errors are at most 1.6e-3, except for the slope near its zero at −0.75. Below −5.34, GELU
// and the slope are exactly 0. Above 5, GELU is exactly x and the slope is exactly 1. NaN gives NaN.
#pragma once

#include "../simd.h"

namespace foretoken::FT_ISA {
namespace {

// GELU and its slope at one x.
struct Activated {
  F32 value;
  F32 slope;
};

#if defined(FT_NARROW)

constexpr int kPieces = 2 * kLanes;
constexpr float kPiecesInOne = 2.9f;

// Coefficients of each power of x for each piece, lowest power first. The first piece begins at −∞, and the last piece
// ends at +∞.
using PieceTable = float[5][kPieces];

alignas(64) constexpr PieceTable kGeluPieces = {
    {0.0f, -0.0121800015f, -0.0382881189f, -0.10209163f, -0.228837976f, -0.426362067f, -0.650205261f,
     -0.79423747f, -0.747444276f, -0.501664089f, -0.195095316f, 0.00237416553f, 0.0469512874f, 0.0209748498f,
     0.00359149268f, 5.77470863e-05f, 0.0f, 4.49962311e-05f, 0.00312730355f, 0.0216873135f, 0.0469681075f,
     0.00315408668f, -0.191753665f, -0.496703957f, -0.744645473f, -0.79517711f, -0.652255828f, -0.427388251f,
     -0.229124396f, -0.102132816f, -0.0382925543f, 0.0f},
    {0.0f, -0.00899006735f, -0.0300118426f, -0.0851580803f, -0.203362493f, -0.403287867f, -0.650706551f,
     -0.825227598f, -0.758410254f, -0.375268958f, 0.17232885f, 0.585633879f, 0.695701214f, 0.606266223f,
     0.526037177f, 0.500959833f, 0.499999909f, 0.499223021f, 0.47669186f, 0.390916872f, 0.304249843f,
     0.412542499f, 0.821181893f, 1.36702571f, 1.75434258f, 1.8264382f, 1.65308653f, 1.40437066f,
     1.20363953f, 1.08519484f, 1.03001552f, 1.0f},
    {0.0f, -0.0024922351f, -0.00884071864f, -0.0267183073f, -0.0680679756f, -0.143974376f, -0.246565445f,
     -0.325893721f, -0.290164348f, -0.0660400913f, 0.301112285f, 0.62592527f, 0.727832705f, 0.612044773f,
     0.472455619f, 0.404824748f, 0.398933068f, 0.403920148f, 0.466554876f, 0.616190783f, 0.72788587f,
     0.627520254f, 0.305829637f, -0.0609094006f, -0.287949592f, -0.326478156f, -0.247600657f, -0.144402601f,
     -0.0681684206f, -0.0267306088f, -0.0088418607f, 0.0f},
    {0.0f, -0.000307514525f, -0.00115975537f, -0.00373612757f, -0.0101664879f, -0.0229790667f, -0.0418920903f,
     -0.0579241474f, -0.0494436194f, 0.00886281378f, 0.118375863f, 0.23197711f, 0.273909564f, 0.207118108f,
     0.0985900583f, 0.0162201131f, 3.84570413e-06f, -0.0143820389f, -0.0930214167f, -0.209810803f, -0.273935122f,
     -0.232595546f, -0.119897317f, -0.0102802837f, 0.0489081963f, 0.058049449f, 0.0420920913f, 0.023054297f,
     0.0101826665f, 0.00373795634f, 0.00115991302f, 0.0f},
    {0.0f, -1.4248331e-05f, -5.7158372e-05f, -0.000196418653f, -0.000571508994f, -0.00138275931f, -0.00269073586f,
     -0.00390621622f, -0.00315227739f, 0.00253951153f, 0.0148006435f, 0.0297196534f, 0.0361898167f, 0.0217095756f,
     -0.0101045917f, -0.0484031916f, -0.0659040866f, -0.0497185341f, -0.0120447645f, 0.0223607784f, 0.0361944048f,
     0.029809349f, 0.0149843379f, 0.00268617771f, -0.00310378469f, -0.00391628272f, -0.0027052168f, -0.0013877129f,
     -0.000572485774f, -0.000196520566f, -5.716653e-05f, 0.0f},
};

alignas(64) constexpr PieceTable kGeluTanhPieces = {
    {0.0f, -0.0048430723f, -0.0230476662f, -0.0817300103f, -0.218194826f, -0.442555773f, -0.687507767f,
     -0.82107443f, -0.743377592f, -0.482908894f, -0.186005764f, 0.00104732534f, 0.0451041376f, 0.0207707365f,
     0.0036270107f, 5.88690729e-05f, 0.0f, 4.58896573e-05f, 0.0031581639f, 0.0214663879f, 0.0451180164f,
     0.00177682833f, -0.182864304f, -0.477942956f, -0.739977165f, -0.821651065f, -0.689644067f, -0.443605411f,
     -0.218414024f, -0.0817535101f, -0.0230490452f, 0.0f},
    {0.0f, -0.00362061376f, -0.0183058245f, -0.069091435f, -0.196450705f, -0.423562748f, -0.69414117f,
     -0.855509789f, -0.746475885f, -0.341101024f, 0.188887759f, 0.580444919f, 0.689494569f, 0.605507323f,
     0.526313985f, 0.500978648f, 0.499999907f, 0.499207489f, 0.476443381f, 0.391741954f, 0.310465003f,
     0.417849183f, 0.805011609f, 1.33284861f, 1.74153469f, 1.85625178f, 1.69662034f, 1.42467015f,
     1.19666267f, 1.06911241f, 1.01830697f, 1.0f},
    {0.0f, -0.00101579187f, -0.00545881513f, -0.0219438865f, -0.0665278007f, -0.152765042f, -0.264887489f,
     -0.338019713f, -0.280652713f, -0.04390505f, 0.311212052f, 0.618977715f, 0.720212923f, 0.611220052f,
     0.473310324f, 0.404941497f, 0.398932859f, 0.404020628f, 0.467346007f, 0.615269107f, 0.72025689f,
     0.620469881f, 0.315646991f, -0.0387689538f, -0.277962823f, -0.338377476f, -0.265965711f, -0.153202944f,
     -0.066604632f, -0.0219509029f, -0.00545917005f, 0.0f},
    {0.0f, -0.000126752368f, -0.000724284018f, -0.00310299974f, -0.0100412231f, -0.0245990438f, -0.0452559518f,
     -0.059991182f, -0.0465791959f, 0.014913438f, 0.12076912f, 0.228424259f, 0.270201374f, 0.207188796f,
     0.0998720419f, 0.0165475978f, 3.9327138e-06f, -0.0146764026f, -0.0942410627f, -0.20981882f, -0.270222535f,
     -0.229002884f, -0.12219952f, -0.0163323181f, 0.0459290224f, 0.0600677915f, 0.045464236f, 0.0246759643f,
     0.0100535951f, 0.00310404262f, 0.000724332999f, 0.0f},
    {0.0f, -5.93515991e-06f, -3.60748944e-05f, -0.000164813256f, -0.000569811366f, -0.00149165482f, -0.00291931518f,
     -0.0040330472f, -0.00285741927f, 0.00313603073f, 0.0149802198f, 0.0291205312f, 0.0355871354f, 0.0218974344f,
     -0.00958870943f, -0.0483581649f, -0.0662198582f, -0.0496972503f, -0.0115514344f, 0.0225335524f, 0.0355909388f,
     0.0292044611f, 0.0151529246f, 0.00328283421f, -0.0027985441f, -0.00403919441f, -0.00293439396f, -0.00149671906f,
     -0.000570558131f, -0.000164871363f, -3.60774285e-05f, 0.0f},
};

FT_INLINE F32 coefficientOf(const PieceTable& table, int power, U32 piece) {
  return (F32)_mm512_permutex2var_ps(_mm512_load_ps(table[power]), (__m512i)piece, _mm512_load_ps(table[power] + kLanes));
}

FT_INLINE Activated geluByPieces(const PieceTable& table, F32 given) {
  // With this order of arguments, NaN stays NaN.
  const F32 x = max(splat(-kLanes / kPiecesInOne), given);
  const F32 within = min(splat((kLanes - 1) / kPiecesInOne), x);
  // After adding 1.5·2²³ + 16, the low bits have the number of the nearest piece. Five of these bits are used.
  const U32 piece = (U32)fma(within, splat(kPiecesInOne), splat(12582912.0f + kLanes));
  // Horner's scheme for the polynomial. A second Horner scheme over its intermediate sums gives the derivative.
  F32 slope = coefficientOf(table, 4, piece);
  F32 sum = fma(slope, within, coefficientOf(table, 3, piece));
  slope = fma(slope, within, sum);
  sum = fma(sum, within, coefficientOf(table, 2, piece));
  slope = fma(slope, within, sum);
  sum = fma(sum, within, coefficientOf(table, 1, piece));
  slope = fma(slope, within, sum);
  return {fma(sum, x, coefficientOf(table, 0, piece)), slope};
}

#endif

}  // namespace
}  // namespace foretoken::FT_ISA
