//! What is said of exported files.

use super::assert_problems;

#[test]
fn rules_for_tensors_are_checked_one_by_one() {
    assert_problems(
        "[export]\ngguf = [\"Q4_K_M\"]\ntensor_types = [\n  \"attn_v=Q8_0\",\n  \"attn_v=Q9\",\n  \"attn_(=Q8_0\",\n]\n",
        &[
            "r.toml:8:3 `export.tensor_types.1` is `attn_v=Q9`: there is no type `Q9`",
            "r.toml:9:3 `export.tensor_types.2` is `attn_(=Q8_0`: unclosed group",
        ],
    );
}

#[test]
fn what_no_quantized_file_reads_is_told() {
    assert_problems(
        "[export]\ngguf = [\"F16\"]\ntensor_types = [\"attn_v=Q8_0\"]\nimatrix = \"rows\"\n",
        &[
            "r.toml:6:1 `export.tensor_types` is for quantized files, and `export.gguf` has none",
            "r.toml:7:1 `export.imatrix` is for quantized files, and `export.gguf` has none",
        ],
    );
    assert_problems(
        "[export]\ngguf = [\"Q8_0\"]\ntensor_types = [\"ffn_(up|gate)=Q6_K\"]\nimatrix = \"rows\"\n",
        &[],
    );
}
