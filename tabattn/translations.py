"""The words of the report and the terminal in other languages, by the English ones."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from tabattn.choices import Language

KOREAN: Mapping[str, str] = {
    # answer
    "What drives {target}?": "무엇이 {target}을(를) 좌우하는가?",
    "Which columns drive {target}?": "{target}을(를) 좌우하는 변수",
    "{n} of {total} columns add something to the others in predicting {target}: {names}.": (
        "변수 {total}개 중 {n}개가 다른 변수에 더해 {target} 예측에 기여합니다: {names}."
    ),
    "No column can be shown to add something to the others.": "다른 변수에 더해 기여한다고 말할 수 있는 변수가 없습니다.",
    "The first by importance: {names}.": "중요도 상위 변수: {names}.",
    "Do not trust this ranking: the model predicts no better than a constant.": (
        "이 순위를 믿지 마십시오. 모델의 예측이 상수보다 낫지 않습니다."
    ),
    "{n} columns suffice to predict as well as all: {names}.": "다음 {n}개 변수만으로 전체만큼 예측합니다: {names}.",
    "One column suffices to predict as well as all: {names}.": "다음 변수 하나만으로 전체만큼 예측합니다: {names}.",
    "{names} and {n} more": "{names} 외 {n}개",
    "{first} and {second} act together.": "{first}와(과) {second}은(는) 함께 작용합니다.",
    "{feature} and {others} carry the same information.": "{feature}와(과) {others}은(는) 같은 정보를 담고 있습니다.",
    "up": "증가", "down": "감소", "peak": "중간에서 최대", "valley": "중간에서 최소",
    "levels": "수준별 차이", "none": "뚜렷하지 않음",
    # trust
    "Can it be trusted?": "믿어도 되는가?",
    "Prediction": "예측력",
    "constant {dummy}, gradient boosting {boosting}": "상수 {dummy}, 그래디언트 부스팅 {boosting}",
    "Held-out rows": "검증에 쓴 행",
    "{n} rows": "{n}개 행",
    "{n_train} rows fitted": "학습에 쓴 행 {n_train}개",
    "Agreement with permutation importance": "순열 중요도와의 일치도",
    "Spearman; with so few shuffles (ranks ± {error}) no ranking could reach more than about {ceiling}": (
        "스피어만 상관; 섞는 횟수가 적어(순위 ± {error}) 어떤 순위라도 약 {ceiling}까지만 가능"
    ),
    "Spearman; as high as the shuffles allow (ranks ± {error})": "스피어만 상관; 섞기 오차(순위 ± {error})에서 가능한 최대",
    "{names} gives the target away: look at importance_without_leaks.csv, or leave it out.": (
        "{names}은(는) 목표값을 그대로 드러냅니다. importance_without_leaks.csv를 보거나 이 변수를 빼십시오."
    ),
    "dummy": "상수", "hist_gradient_boosting": "그래디언트 부스팅", "spearman": "스피어만", "kendall": "켄달",
    "weighted_kendall": "가중 켄달", "top_k_overlap": "상위 변수 일치율", "ndcg": "NDCG", "p_value": "p값",
    "act together": "함께 작용",
    "Agreement of the folds with each other": "폴드끼리의 일치도",
    "Which columns do columns look at?": "변수는 어떤 변수에 주목하는가?",
    "Rows attend to columns; averaged over members, layers, heads and held-out rows.": (
        "행의 변수가 열의 변수에 주목합니다. 구성 모델, 층, 헤드, 검증 행의 평균입니다."
    ),
    "Spearman": "스피어만 상관",
    "Agreement of the members with each other": "구성 모델끼리의 일치도",
    "first ranks hold with another seed": "시드를 바꾸어도 상위 순위가 유지됨",
    "first ranks change with the seed": "시드에 따라 상위 순위가 바뀜",
    "Columns selected": "선택된 변수",
    "rate of false discoveries {fdr}": "거짓 발견율 {fdr}",
    "Findings": "진단",
    "{serious} serious, {warnings} warnings, {notes} notes": "심각 {serious}, 경고 {warnings}, 참고 {notes}",
    "nothing found": "발견된 문제 없음",
    "Time": "시간",
    "shortened by the time limit": "시간 제한으로 축소됨",
    "serious": "심각", "warning": "경고", "note": "참고", "good": "양호",
    # headings
    "Which columns?": "어떤 변수인가?", "What else to know": "그 밖에 알아 둘 것", "One column": "변수 상세",
    "Where does the model look?": "모델은 어디에 주목하는가?", "When was the driver found?": "언제 원인을 찾았는가?",
    "Do both rankings agree?": "두 순위가 일치하는가?", "Which act together?": "함께 작용하는 변수",
    "Which suffice?": "충분한 최소 변수 집합", "Held-out scores": "검증 점수", "Settings": "설정",
    "The command that makes this again": "같은 결과를 다시 만드는 명령",
    # table
    "rank": "순위", "column": "변수", "kind": "종류", "importance": "중요도", "95 %": "95 % 구간",
    "direction": "방향", "effect": "효과", "adds to the others": "추가 기여", "permutation": "순열 중요도",
    "permutation rank": "순열 순위", "gap": "순위 차", "yes": "예", "no": "아니오",
    "Find a column": "변수 찾기", "selected only": "선택된 변수만", "{shown} of {total} columns shown":
    "변수 {total}개 중 {shown}개 표시", "Sort by {name}": "{name} 기준 정렬", "page of {feature}": "{feature} 상세",
    "numeric": "숫자", "boolean": "참/거짓", "categorical": "범주", "datetime": "날짜·시각", "duration": "기간",
    "text": "텍스트", "group": "묶음",
    # page of a column
    "previous": "이전", "next": "다음", "close": "닫기",
    "Effect on the prediction": "예측에 미치는 효과", "prediction if all rows had the value": "모든 행이 이 값일 때의 예측",
    "mean target of the rows near it": "이 값 근처 행들의 실제 평균", "four of five rows": "행의 80 % 범위",
    "Distribution": "분포", "missing": "결측", "others": "그 외", "rows": "행",
    "Attention by layer and head": "층·헤드별 주의 집중(어텐션)", "layer": "층", "head": "헤드", "member": "구성 모델",
    "all": "전체", "Attention over epochs": "에폭별 주의 집중(어텐션)", "epoch": "에폭", "best epoch": "최적 에폭",
    "Rows where it mattered most": "가장 크게 작용한 행", "row": "행", "target": "목표값", "prediction": "예측값",
    "cell": "셀 값", "score": "점수", "Says the same as": "같은 정보를 담은 변수", "Acts together with":
    "함께 작용하는 변수", "By class and level": "클래스·수준별 중요도", "how much of it the others explain":
    "다른 변수로 설명되는 정도", "rise of the loss when drawn given the others": "조건부 대체 시 손실 증가",
    "p-value": "p값", "q-value": "q값",
    "Is it as in training?": "학습 때와 같은가?", "attention in training": "학습 때 어텐션", "attention now": "현재 어텐션",
    "differs": "차이", "outside": "범위 밖",
    "What moves the predictions of these rows?": "이 행들의 예측을 움직이는 것은 무엇인가?",
    "Attention to {n} of {total} columns differs from training.": (
        "변수 {total}개 중 {n}개에 대한 어텐션이 학습 때와 다릅니다."
    ),
    "held out in training: {score}": "학습 때 검증 점수: {score}",
    "unknown": "알 수 없음", "the target of these rows is not known": "이 행들의 목표값을 알 수 없음",
    "Drift": "변화", "Rows": "행",
    # sections
    "view": "보기", "heads": "헤드별", "one row": "행 하나", "mean over held-out rows": "검증 행 평균",
    "rank by attention": "어텐션 순위", "rank by permutation importance": "순열 중요도 순위",
    "far apart": "차이가 큰 변수", "first": "첫째", "second": "둘째", "interaction": "상호작용",
    "removed": "제거한 변수", "columns left": "남은 변수 수", "loss": "손실", "kept": "유지된 이득",
    "model": "모델", "dark": "어둡게", "light": "밝게", "print": "인쇄", "attention": "어텐션",
    "These are attention weights of CLS before dropout; importance is measured by the loss.": (
        "이 값은 드롭아웃 이전 CLS의 어텐션이며, 중요도는 손실로 확인한 값입니다."
    ),
    "Scripts are off: the table and the findings are complete, the pictures need them.": (
        "스크립트가 꺼져 있습니다. 표와 진단은 모두 보이지만 그림은 스크립트가 필요합니다."
    ),
    "How to read it": "읽는 법",
    "Importance is the fraction of the model's skill that goes with what attention reads from a column; bars show "
    "it, whiskers its 95 % interval.": (
        "중요도는 모델 예측력 중 해당 변수에서 어텐션이 읽은 정보에 따른 비율입니다. 막대가 그 값이고, 수염은 표 100개 중 95개에서 "
        "값이 놓이는 범위입니다."
    ),
    "“Adds to the others” is a test: yes means that the column helps even when all others are known. Of two columns "
    "that say the same, neither adds much.": (
        "‘추가 기여’는 검정입니다. ‘예’는 다른 변수를 모두 알아도 이 변수가 도움이 된다는 뜻입니다. 같은 정보를 담은 두 변수는 둘 다 "
        "‘아니오’일 수 있습니다."
    ),
    "Direction is what the prediction does when only this column changes, the effect by how much from its 10th "
    "percentile to its 90th, in units of the target; the gap is how far its two ranks are apart.": (
        "방향은 이 변수만 바뀔 때 예측값이 움직이는 방향이고, 효과는 10번째 백분위수에서 90번째 백분위수까지 예측값이 바뀌는 크기(목표 변수의 단위)입니다. "
        "순위 차는 두 순위가 떨어진 정도입니다."
    ),
    "Permutation importance validates the ranking: where the ranks differ much, inspect both.": (
        "순열 중요도는 이 순위를 검증하는 기준입니다. 두 순위가 크게 다르면 둘 다 확인하십시오."
    ),
    "Neither implies a cause: a column that correlates with the true cause may be a proxy for it.": (
        "어느 것도 인과를 뜻하지 않습니다. 진짜 원인과 함께 움직이는 변수가 대신 나타날 수 있습니다."
    ),
    # progress
    "rows to disk, to learn from all": "모든 행을 학습용으로 디스크에 저장", "file": "파일",
    "pretraining": "사전 학습", "permutation importance": "순열 중요도", "shuffle": "섞기",
    "importance by attention": "어텐션 기반 중요도", "gradient boosting and leaks, to compare with": "비교용 그래디언트 부스팅과 누설 점검",
    "tests of what each column adds to the others": "변수별 추가 기여 검정", "which columns act together": "함께 작용하는 변수",
    "which columns suffice": "충분한 최소 변수 집합", "which way each column acts": "변수별 방향과 효과",
    "scores of rows": "행별 점수", "scores": "점수", "additive values": "가법 기여값", "peers": "다른 방법",
    "about {time} left": "약 {time} 남음", "{n} s": "{n}초", "{n} min": "{n}분", "{n} h": "{n}시간",
    "{step} {n} of {total}": "{step} {n}/{total}",
    "The same command with --resume goes on from here.": "같은 명령에 --resume을 붙이면 여기서부터 이어서 합니다.",
    "{n} rows predicted: {file}": "{n}행을 예측했습니다: {file}",
    "{n} rows, {n_columns} columns and the target {target}: {file}": "{n}행, 변수 {n_columns}개, 목표 변수 {target}: {file}",
    "Next: {command}": "다음 명령: {command}",
    "{n} sentences learned, {held_out} held out: {accuracy} of their labels predicted, {constant} by the most frequent "
    "label.": "문장 {n}개 학습, {held_out}개 검증: 라벨의 {accuracy} 예측(가장 흔한 라벨로는 {constant}).",
    # terminal
    "Target {target}: {how}; {n_train} rows fitted, {held_out} held out, {n_columns} columns. "
    "Best epoch {best} of {epochs}.": (
        "목표 변수 {target}: {how}; 학습 {n_train}행, 검증 {held_out}, 변수 {n_columns}개. 최적 에폭 {best}/{epochs}."
    ),
    "classification, {n} classes": "분류, 클래스 {n}개", "regression": "회귀",
    "The time limit allowed only: {what}.": "시간 제한 때문에 다음만 수행했습니다: {what}.",
    "Does the model predict? Scores on held-out rows:": "모델이 예측을 하는가? 검증 행에서의 점수:",
    "Which columns drive the target?": "어떤 변수가 목표 변수를 좌우하는가?",
    "Which columns drive the target (scores of {n} of the {total} rows)?": (
        "어떤 변수가 목표 변수를 좌우하는가? (검증 {total}행 중 {n}행의 점수)"
    ),
    "Do attention and permutation importance agree ({shuffles})?": "어텐션과 순열 중요도가 일치하는가? ({shuffles})",
    "{most} shuffles of the first {n} columns, {fewest} of the others": "상위 {n}개 변수는 {most}번, 나머지는 {fewest}번 섞음",
    "1 shuffle per column": "변수마다 1번 섞음", "{n} shuffles per column": "변수마다 {n}번 섞음",
    "{n} of the {total} rows": "{total}행 중 {n}행", "ranks ± {error}": "순위 ± {error}",
    "Spearman {spearman} (p = {p_value}), Kendall {kendall}, weighted Kendall {weighted}, NDCG {ndcg}, "
    "{n} of the top {k} in common.": (
        "스피어만 {spearman} (p = {p_value}), 켄달 {kendall}, 가중 켄달 {weighted}, NDCG {ndcg}, 상위 {k}개 중 {n}개 일치."
    ),
    "Which suffice? {n} of {total} predict as well as all ({kept} of the gain): {names}.": (
        "몇 개면 충분한가? {total}개 중 {n}개만으로 전체만큼 예측합니다(이득의 {kept}): {names}."
    ),
    "{one} with {other}": "{one}와(과) {other}", "Which act together? {pairs}.": "함께 작용하는 변수: {pairs}.",
    "What else to know:": "그 밖에 알아 둘 것:",
    "Which columns matter where? More in importance_by_level.csv.": (
        "어디에서 어떤 변수가 중요한가? 자세한 것은 importance_by_level.csv에 있습니다."
    ),
    "level": "수준", "first columns": "상위 변수", "... ({n} more in importance.csv)": "... (외 {n}개는 importance.csv에)",
    "feature": "변수", "adds to others": "추가 기여", "permutation (rank)": "순열 중요도 (순위)",
    "{n} rows read, {n_columns} columns.": "{n}행, 변수 {n_columns}개를 읽었습니다.",
    "Are they predicted as well as rows that were held out in training?": "학습 때의 검증 행만큼 잘 예측하는가?",
    "Which columns matter in these rows?": "이 행들에서 중요한 변수는 무엇인가?",
    "Does the model look at them as in training? Attention to {n} of {total} columns differs.": (
        "모델이 학습 때처럼 보는가? 변수 {total}개 중 {n}개에 대한 어텐션이 다릅니다."
    ),
    "training": "학습", "inference": "현재", "adjusted p": "보정 p값", "held out in training": "학습 때 검증 행",
    "these": "이 행들", "n_rows": "행 수", "Files: {files}": "결과 파일: {files}",
    "Page: {file}": "보고서: {file}",
    "method": "방법", "seconds": "초", "Ranks by each method:": "방법별 순위:", "... ({n} more in ranks.csv)": "... (외 {n}개는 ranks.csv에)",
    "Which methods, and how far do they agree (Spearman)?": "어떤 방법들이며 서로 얼마나 일치하는가(스피어만 상관)?",
    # plots
    "importance by attention (fraction)": "어텐션 기반 중요도(비율)",
    "importance by attention (fraction; whiskers: 95 % interval)": "어텐션 기반 중요도(비율, 수염: 95 % 구간)",
    "importance by attention (fraction; whiskers: standard deviation over members)": (
        "어텐션 기반 중요도(비율, 수염: 구성 모델 간 표준편차)"
    ),
    "permutation importance (decrease in the held-out score)": "순열 중요도(검증 점수 감소)",
    "attention; not shown to add to the others": "어텐션(추가 기여가 확인되지 않음)",
    "Which columns drive the target": "목표 변수를 좌우하는 변수", " (first {n} of {total})": " ({total}개 중 상위 {n}개)",
    "layer {layer}, head {head}": "층 {layer}, 헤드 {head}", "Attention of CLS to each column": "각 변수에 대한 CLS의 어텐션",
    "Attention of columns (left) to columns (below)": "변수(왼쪽)의 변수(아래)에 대한 어텐션",
    "attention, mean over members and rows": "어텐션(구성 모델과 행의 평균)",
    "Do both rankings agree? (on the line: yes)": "두 순위가 일치하는가? (선 위: 일치)",
    "by permutation importance": "순열 중요도 순위",
    "probability of {name}": "{name}의 확률",
    "{n} of {total} rows, similar ones together": "{total}행 중 {n}행(비슷한 행끼리)",
    "Which columns go together": "함께 움직이는 변수", "rank correlation, or association with levels": "순위 상관(범주는 연관도)",
    "Which columns go together?": "어떤 변수들이 함께 움직이는가?",
    "Rank correlation of numbers, association of levels; columns that go together share their importance.": (
        "숫자는 순위 상관, 범주는 연관도입니다. 함께 움직이는 변수들은 중요도를 나누어 가집니다."
    ),
    "Which column mattered in which row": "어느 행에서 어느 변수가 중요했는가",
    "score (red: the row is predicted better by it)": "점수(빨강: 그 변수 덕분에 예측이 좋아짐)",
    "weights kept": "선택된 가중치", "mean attention": "평균 어텐션", "step": "단계",
    "Attention while training (solid: eval mode, dashed: train mode)": (
        "학습 중 어텐션(실선: 평가 모드, 점선: 학습 모드)"
    ),
    "mean attention (* drifted: adjusted p of at most .05)": "평균 어텐션(* 변화: 보정 p값 .05 이하)",
    "Attention now and in training": "현재와 학습 때의 어텐션", "these rows": "이 행들",
    "Ranks by each method": "방법별 순위", "mean of {n} others": "그 외 {n}개 평균",
    "Which words the model looks at": "모델이 주목하는 단어",
    "Attention of the state that reads to each word": "읽는 상태의 각 단어에 대한 어텐션",
    "Attention of words (left) to words (below)": "단어(왼쪽)의 단어(아래)에 대한 어텐션",
    # findings
    "rows_in_blocks": "행이 묶음(로트, 장비 등)으로 연결되어 있습니다", "rows_in_time": "행이 시간 순서로 서로 닮았습니다",
    "leak": "목표값을 그대로 드러내는 변수가 있습니다", "second_measurement": "목표값의 재측정으로 보이는 변수가 있습니다",
    "no_better_than_constant": "모델이 상수보다 낫지 않습니다", "far_behind_boosting": "부스팅보다 크게 뒤처집니다",
    "same_columns": "같은 정보를 담은 변수들이 있습니다", "identifier": "번호나 이름으로 보이는 변수가 있습니다",
    "constant": "값이 하나뿐인 변수가 있습니다", "few_rows": "변수 수에 비해 행이 적습니다",
    "rare_classes": "드문 클래스가 있습니다", "imbalance": "클래스가 불균형합니다",
    "wide_target": "목표값의 범위가 매우 넓습니다", "absence_is_signal": "결측 여부가 목표값과 관련됩니다",
    "unsettled_ranks": "순위가 안정적이지 않습니다", "outside_range": "학습 범위를 벗어난 값이 있습니다",
    "empty_rows": "빈 행이 있습니다", "worse_than_training": "학습 때보다 예측이 나쁩니다",
    "unread_cells": "읽지 못해 결측으로 처리한 셀이 있습니다", "unread_numbers": "숫자처럼 보이지만 범주로 읽은 변수가 있습니다",
    "ambiguous_numbers": "두 가지로 읽힐 수 있는 숫자가 있습니다", "ambiguous_dates": "두 가지로 읽힐 수 있는 날짜가 있습니다",
    "other_format": "학습 때와 다른 형식의 셀이 있습니다", "twin_levels": "같은 것으로 보이는 수준이 있습니다",
    "unknown_levels": "학습 때 없던 수준뿐인 변수가 있습니다", "limits": "한계값(예: <0.03)인 숫자가 있습니다",
    "dropped_rows": "목표값이 없는 행을 뺐습니다", "reading_note": "표를 읽으면서 정리한 내용",
}  # fmt: skip
KOREAN_ADVICE: Mapping[str, str] = {
    "rows_in_blocks": "같은 로트·환자·장비의 행은 서로 닮아서, 무작위로 나누어 검증하면 점수가 실제보다 높게 나옵니다. --split-by로 묶음째 검증하십시오.",
    "rows_in_time": "목표값이 바로 앞 행의 값을 따라갑니다. 무작위 검증은 점수를 부풀리므로 --order-by로 마지막 시점의 행을 검증에 쓰십시오.",
    "leak": "이 변수 하나로 목표값을 거의 완벽하게 예측합니다. 목표값이 정해진 뒤에야 알 수 있는 값이라면 빼고 다시 분석하십시오. 이 변수를 뺀 순위는 importance_without_leaks.csv에 있습니다.",
    "second_measurement": "목표값을 한 번 더 측정한 값일 수 있습니다. 그렇다면 빼고 다시 분석하십시오. 이 변수를 뺀 순위는 importance_without_leaks.csv에 있습니다.",
    "no_better_than_constant": "검증 행에서 모델이 최적의 상수보다 나은 예측을 한다고 할 수 없습니다. 이 순위는 아무 의미가 없습니다. 행이나 변수를 더 모으십시오.",
    "far_behind_boosting": "그래디언트 부스팅의 예측이 이 모델보다 훨씬 좋습니다. 부스팅이 찾은 것을 이 순위는 놓치고 있습니다.",
    "same_columns": "이 변수들은 사실상 같은 값을 담고 있어 중요도를 나누어 가집니다. 하나로 묶은 순위는 importance_of_clusters.csv에 있습니다.",
    "identifier": "행의 번호나 이름으로 보입니다. 다른 행의 예측에는 도움이 되지 않으니, 시간 순서가 아니라면 빼십시오.",
    "constant": "학습에 쓴 행에서 값이 하나뿐이거나 없습니다. 마지막 순위에 놓입니다.",
    "few_rows": "변수 수에 비해 행이 적어, 처음 몇 개 이후의 순위는 다른 행에서 달라질 수 있습니다. --folds 5로 모든 행을 검증에 쓰십시오.",
    "rare_classes": "행이 10개 미만인 클래스가 있습니다. 그 클래스를 좌우하는 변수는 알 수 없습니다.",
    "imbalance": "한 클래스의 행이 10 % 미만입니다. 정확도 대신 comparison.csv의 평균 정밀도와 재현율을 보십시오.",
    "wide_target": "목표값이 100배 넘는 범위에 걸쳐 있어 큰 값의 오차만 보게 됩니다. --log-target으로 로그를 학습하십시오.",
    "absence_is_signal": "값이 비어 있는 행은 목표값이 다릅니다. 중요도의 일부는 ‘값이 없다’는 사실 때문일 수 있으니, 왜 비어 있는지 확인하십시오.",
    "unsettled_ranks": "시드를 바꾸면 상위 변수의 순서가 달라질 수 있습니다. --folds 5로 모든 행을 검증에 쓰면 더 안정됩니다.",
    "outside_range": "새 행의 값이 학습 때의 범위나 수준을 벗어납니다. 변수별 비율은 drift.csv에 있습니다.",
    "empty_rows": "모델이 읽을 값이 하나도 없는 행입니다. 이 행의 예측은 의미가 없습니다.",
    "unread_cells": "변수의 종류와 맞지 않는 셀은 결측으로 처리했습니다. 셀을 고치거나, --na로 결측 표기를 알려 주거나, --kind로 변수의 종류를 지정하십시오.",
    "unread_numbers": "숫자처럼 보이지만 표기가 서로 달라 범주로 읽었습니다. 모든 숫자를 같은 방식으로 적으십시오.",
    "ambiguous_numbers": "구분 기호나 단위를 두 가지로 읽을 수 있고, 어느 쪽인지 정해 주는 셀이 없습니다. 어떻게 읽었는지 확인하십시오.",
    "ambiguous_dates": "연·월·일의 순서나 세기를 두 가지로 읽을 수 있습니다. 어떻게 읽었는지 확인하고, 날짜를 연-월-일로 적으십시오.",
    "other_format": "학습에 쓴 표와 다른 방식으로 적혀 있어, 적힌 방식대로 읽었습니다.",
    "twin_levels": "표기만 다른 같은 수준으로 보입니다. 지금은 서로 다른 수준으로 셉니다. 같은 것이라면 표기를 통일하십시오.",
    "unknown_levels": "이 변수에는 학습 때 본 수준이 하나도 없습니다. 모두 하나의 새 수준으로 셉니다.",
    "limits": "‘<0.03’처럼 한계값으로 적힌 숫자는 기호 뒤의 숫자로 읽거나(--censored limit) 결측으로 처리합니다(--censored missing).",
    "dropped_rows": "목표값이 비어 있는 행은 학습과 검증에 쓰지 않습니다.",
    "reading_note": "표를 읽을 수 있도록 빼거나 떼어 내거나 합친 부분입니다.",
    "worse_than_training": "새 행의 예측이 학습 때의 검증보다 뚜렷하게 나쁩니다. 공정이나 데이터가 바뀌었는지 확인하십시오.",
}
KOREAN_ERRORS: Mapping[str, str] = {
    "TableError": "표를 읽을 수 없거나 이대로 쓸 수 없습니다.",
    "TargetError": "목표 변수를 확인하십시오.",
    "ColumnError": "변수의 셀을 확인하십시오.",
    "ParameterError": "옵션의 값을 확인하십시오.",
    "TrainingError": "학습이 수렴하지 않았습니다.",
    "ProcessError": "함께 학습하던 프로세스 하나가 끝났습니다.",
    "OutputError": "결과를 쓸 수 없습니다.",
    "ModelFileError": "모델 파일을 읽을 수 없습니다.",
}
WORDS: Mapping[Language, Mapping[str, str]] = {"en": {}, "ko": KOREAN}
PARTICLES = re.compile(r"(\w)([^\w\s]{0,2})(을|은|와)\((를|는|과)\)")
N_FINALS, DIGITS_IN_CONSONANTS, DIGITS_IN_VOWELS = 28, "013678", "2459"
_SPOKEN: ContextVar[Language] = ContextVar("spoken", default="en")


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Say in a language what is said while something runs, such as how far it has come.

    Args:
        language: "en" or "ko".

    Example:
        >>> with speaking("ko"):
        ...     translate(spoken(), "rank")
        '순위'
    """
    token = _SPOKEN.set(language)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def spoken() -> Language:
    """Return the language that `speaking` asks for; "en" outside of it."""
    return _SPOKEN.get()


def translated_message(language: Language, code: str, message: str) -> str:
    """Return what a finding or an error says, in a language: its message, which has the numbers, behind what it means.

    Args:
        language: "en" or "ko".
        code: Code of the finding, or name of the class of the error.
        message: What it says, in English.

    Example:
        >>> translated_message("en", "constant", "'x' has one value."), translated_message("ko", "new", "'x' is new.")
        ("'x' has one value.", "'x' is new.")
    """
    known = KOREAN_ADVICE.get(code, KOREAN_ERRORS.get(code)) if language == "ko" else None
    return message if known is None else f"{known} ({message})"


def word(language: Language, name: str) -> str:
    """Return a word in a language where it is one of ours; names of others stay as they are.

    Args:
        language: "en" or "ko".
        name: Any text.

    Example:
        >>> word("ko", "training"), word("ko", "{x}")
        ('학습', '{x}')
    """
    return WORDS[language].get(name, name)


def translate(language: Language, text: str, **values: object) -> str:
    """Return a text in a language, filled with values.

    Args:
        language: "en" or "ko".
        text: The English text.
        values: What to fill in.

    Example:
        >>> translate("ko", "rank"), translate("en", "{shown} of {total} columns shown", shown=1, total=2)
        ('순위', '1 of 2 columns shown')
    """
    filled = WORDS[language].get(text, text).format(**values)
    return with_particles(filled) if language == "ko" else filled


def with_particles(text: str) -> str:
    """Choose among Korean particles, such as 을(를), by the sound before them; behind other letters both stay.

    Args:
        text: Text in which both are written.

    Example:
        >>> with_particles("온도을(를), 압력을(를), '라인 7'와(과) x은(는)")
        "온도를, 압력을, '라인 7'과 x은(는)"
    """
    return PARTICLES.sub(_particle, text)


def _particle(found: "re.Match[str]") -> str:
    before, between, first, second = found.groups()
    behind_consonant, behind_vowel = (second, first) if first == "와" else (first, second)
    if "가" <= before <= "힣":
        ends_in_consonant = (ord(before) - ord("가")) % N_FINALS > 0
    elif before in DIGITS_IN_CONSONANTS + DIGITS_IN_VOWELS:
        ends_in_consonant = before in DIGITS_IN_CONSONANTS
    else:
        return found.group()
    return before + between + (behind_consonant if ends_in_consonant else behind_vowel)


def held_out_in_words(held_out: str, n_rows: int, language: Language) -> str:
    """Return which rows were held out.

    Args:
        held_out: The same in English.
        n_rows: Their number.
        language: "en" or "ko".

    Example:
        >>> held_out_in_words("20 rows", 20, "ko"), held_out_in_words("2 units of lot", 20, "ko")
        ('20개 행', '2 units of lot')
    """
    return translate(language, "{n} rows", n=n_rows) if held_out == f"{n_rows} rows" else held_out
