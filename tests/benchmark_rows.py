"""A few rows of each benchmark in the layout it is published in; the words are ours."""

_STORY = {f"input_sentence_{n}": text for n, text in enumerate(("Juma aliamka.", "Alikula.", "Alitoka.", "Mvua!"), 1)}
_MMLU = {"option_a": "Mmea", "option_b": "Mnyama", "option_c": "Jiwe", "option_d": "Maji", "answer": "C"}
_ARC = {"text": ["a plant", "an animal", "a “stone”", "water"], "label": ["A", "B", "C", "D"]}
_BLANKS = [
    {"sentence": "The cup fell on the table and _ broke.", "option1": "the cup", "option2": "the table", "answer": "1"},
    {"sentence": "Ali alimpa Juma kitabu kwa sababu _ alitaka.", "option1": "Ali", "option2": "Juma", "answer": "2"},
]
_HELLASWAG = [
    {
        "ind": 24,
        "activity_label": "Roof shingle removal",
        "ctx_a": "A man is sitting on a roof.",
        "ctx_b": "he starts PULLING",
        "endings": ["up roofing. [substeps] Now.", "is  ripping tiles.", "rests.", "sings."],
        "label": "1",
    },
    {
        "ind": 24,
        "activity_label": "Kupika",
        "ctx_a": "[header] Jinsi ya kupika [title] Chukua maji.  [step] Yachemshe.",
        "ctx_b": "",
        "endings": ["kula.", "lala.", "ナイフ", "keti."],
        "label": "3",
    },
]
_PIQA = [{"goal": "Kukata mti", "sol1": "tumia shoka", "sol2": "tumia kijiko", "label": 0}]

# task -> (file under the folder, rows, definition in lm_eval/tasks; '' = the harness asks something else)
PUBLISHED = {
    "xcopa_it": (
        "xcopa/it/test/0000.parquet",
        [
            {"premise": "La luce si è accesa. ", "choice1": "Ho visto.", "choice2": "È tardi.", "question": "effect"}
            | {"label": 0, "idx": 1, "changed": False}
        ],
        "xcopa/default_it.yaml",
    ),
    "xstorycloze_sw": (
        "xstorycloze/spring2016.val.sw.tsv.split_20_80_eval.tsv",
        [
            {
                "story_id": f"s{n}",
                **_STORY,
                "sentence_quiz1": "Alilowa.",
                "sentence_quiz2": "Alilala.",
                "answer_right_ending": n,
            }
            for n in (1, 2)
        ],
        "xstorycloze/default_sw.yaml",
    ),
    "xwinograd_en": ("xwinograd/test/en.jsonl", _BLANKS, "xwinograd/xwinograd_en.yaml"),
    "winogrande": ("winogrande/winogrande_xl/validation-00000-of-00001.parquet", _BLANKS, "winogrande/default.yaml"),
    "winogrande_sw": ("winogrande/sw/validation.jsonl", _BLANKS, "winogrande/default.yaml"),
    **{
        f"xnli_{language}": (
            f"xnli/{language}/test-00000-of-00001.parquet",
            [{"premise": "Anakuja kesho.", "hypothesis": "Hatakuja «kamwe».", "label": label} for label in (0, 1, 2)],
            f"xnli/xnli_{language}.yaml",
        )
        for language in ["ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"]
    },
    **{
        f"paws_{language}": (
            f"paws/x-final/{language}/test_2k.tsv",
            [
                {"id": 1, "sentence1": 'He did n\'t " see " ( it ) .', "sentence2": "It , he saw .", "label": 1},
                {"id": 2, "sentence1": "Ella vino ;", "sentence2": "Élla no vino.", "label": 0},
            ],
            f"paws-x/paws_{language}.yaml",
        )
        for language in ["de", "en", "es", "fr", "ja", "ko", "zh"]
    },
    "belebele_swh_Latn": (
        "belebele/data/swh_Latn.jsonl",
        [
            {"link": "https://x/1", "question_number": number, "flores_passage": "Maji ni uhai.", "question": " Nini? "}
            | {f"mc_answer{n}": answer for n, answer in enumerate(("maji", "moto", "hewa", "udongo"), 1)}
            | {"correct_answer_num": "3", "dialect": "swh_Latn", "ds": "2023-05-03"}
            for number in (1, 2)
        ],
        "",
    ),
    **{
        f"{name}_sw": (
            f"{folder}/sw/test-00000-of-00001.parquet",
            [{"sample_id": "anatomy/test/0", "subject": "anatomy", "question": " Nini? ", **_MMLU}],
            definition,
        )
        for name, folder, definition in (
            ("global_mmlu", "global_mmlu", "global_mmlu/default/sw/_sw_template_yaml"),
            ("global_mmlu_full", "global_mmlu_full", "global_mmlu/full/sw/_sw_template_yaml"),
            ("global_mmlu_text", "global_mmlu_full", ""),
        )
    },
    "m_mmlu_sw": (
        "m_mmlu/sw_test.json",
        [{"id": "anatomy/test/0", "instruction": " Nini? ", **_MMLU}],
        "okapi/mmlu_multilingual/_default_yaml",
    ),
    "global_piqa_nonparallel_cloze_swh_latn": (
        "global_piqa_nonparallel_cloze/swh_latn/test.tsv",
        [{"prompt": "Ukitaka maji,", "solution0": "nenda kisimani.", "solution1": "lala.", "label": 0}],
        "global_piqa/nonparallel_cloze/swh_latn.yaml",
    ),
    "global_piqa_parallel_cloze_por_latn_braz": (
        "global_piqa_parallel_cloze/por_latn_braz/test/0000.parquet",
        [{"prompt": "Para água?", "example_id": "p0", "label": 2} | {f"solution{n}": f"solução {n}" for n in range(4)}],
        "global_piqa/parallel_cloze/por_latn_braz.yaml",
    ),
    "multiblimp_est": (
        "multiblimp/est/data.tsv",
        [{"sen": 'Ta ütles: "tule koju".', "wrong_sen": 'Ta ütlen: "tule koju".', "phenomenon": "SV-P"}],
        "multiblimp/multiblimp_est.yaml",
    ),
    "sib200_swh_Latn": (
        "sib200/data/swh_Latn/test.tsv",
        [
            {"index_id": 5, "category": "travel", "text": "Tulisafiri hadi Lamu."},
            {"index_id": 6, "category": "science/technology", "text": "Simu 'mpya' imetoka."},
        ],
        "afrobench/sib/prompt_1/sib_swa.yaml",
    ),
    **{
        f"arc_{kind.lower()}": (
            f"arc_{kind.lower()}/ARC-{kind}/test-00000-of-00001.parquet",
            [
                {"id": "M_1", "question": "Which lives?", "choices": _ARC, "answerKey": "B"},
                {"id": "M_2", "question": "What is it?", "choices": _ARC | {"label": list("1234")}, "answerKey": "3"},
            ],
            f"arc/arc_{kind.lower()}.yaml",
        )
        for kind in ("Easy", "Challenge")
    },
    "arc_challenge_eu": (
        "arc_challenge/eu_test.json",
        [
            {"id": "M_1", "instruction": "Zer da [1] hau?  ", **_MMLU, "option_e": None},
            {"id": "M_2", "instruction": "Zer?", **_MMLU, "option_e": "Sua", "answer": "E"},
        ],
        "okapi/arc_multilingual/arc_eu.yaml",
    ),
    "hellaswag": ("hellaswag/data/validation-00000-of-00001.parquet", _HELLASWAG, "hellaswag/hellaswag.yaml"),
    "hellaswag_eu": ("hellaswag/eu_validation.json", _HELLASWAG, "okapi/hellaswag_multilingual/hellaswag_eu.yaml"),
    "piqa": ("piqa/plain_text/validation/0000.parquet", _PIQA, "piqa/piqa.yaml"),
    "piqa_sw": ("piqa/sw/validation.jsonl", _PIQA, "piqa/piqa.yaml"),
    "sciq": (
        "sciq/data/test-00000-of-00001.parquet",
        [
            {"question": "What is it?", "distractor1": "fire", "distractor2": "air", "distractor3": "earth"}
            | {"correct_answer": "water", "support": support}
            for support in ("  Water is wet.", "")
        ],
        "sciq/sciq.yaml",
    ),
    "openbookqa": (
        "openbookqa/main/test-00000-of-00001.parquet",
        [{"id": "7-980", "question_stem": "The sun is responsible for", "choices": _ARC, "answerKey": "A"}],
        "openbookqa/openbookqa.yaml",
    ),
}
