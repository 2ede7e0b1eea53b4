"""Data frames and categories: pipelines with categorical columns, rows of frames as blocks, answers by name."""

import pickle

import numpy as np
import pyomo.environ as pyo
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import AdaBoostRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

import pyomo_relugrad as relugrad
from pyomo_relugrad.errors import MissingPackageError, ModelError, NetworkValueError, UnsupportedOperatorError
from pyomo_relugrad.network import Choice, Network

pandas = pytest.importorskip("pandas")
RNG = np.random.default_rng(0)
N = 90
HOMES = pandas.DataFrame(
    {
        "size": RNG.uniform(20, 200, N),
        "age": RNG.integers(0, 60, N).astype(float),
        "city": RNG.choice(["Bonn", "Oslo", "Rome"], N),
        "level": RNG.choice(["low", "mid", "high"], N),
        "day": RNG.integers(1, 4, N),
    }
)
PRICE = 2 * HOMES["size"] + 50 * (HOMES["city"] == "Rome") - HOMES["age"] + 7 * (HOMES["day"] == 2)
NUMBERS, WORDS = ["size", "age"], ["city", "level"]

pytestmark = pytest.mark.filterwarnings("ignore")


def mlp():
    return MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=15, random_state=0)


def columns(encoder=None, words=WORDS):
    return ColumnTransformer([("num", StandardScaler(), NUMBERS), ("cat", encoder or OneHotEncoder(), words)])


def imputed(encoder):
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)
    numbers = make_pipeline(SimpleImputer(add_indicator=True), RobustScaler(), PolynomialFeatures(1))
    select = make_column_selector
    return ColumnTransformer(
        [("n", numbers, select(dtype_include="number")), ("c", words, select(dtype_exclude="number"))]
    )


PIPELINES = {
    "one hot": lambda: make_pipeline(columns(), mlp()),
    "one hot, one dropped": lambda: make_pipeline(columns(OneHotEncoder(drop="first")), MinMaxScaler(), mlp()),
    "rare ones together": lambda: make_pipeline(
        columns(OneHotEncoder(min_frequency=31, handle_unknown="infrequent_if_exist")), mlp()
    ),
    "ordinal": lambda: make_pipeline(columns(OrdinalEncoder()), mlp()),
    "target": lambda: make_pipeline(columns(TargetEncoder(cv=2, random_state=0)), mlp()),
    "numbers as categories": lambda: make_pipeline(columns(words=["day"]), mlp()),
    "selected and imputed": lambda: make_pipeline(imputed(OneHotEncoder(handle_unknown="ignore")), mlp()),
    "words before numbers": lambda: make_pipeline(
        ColumnTransformer([("c", OrdinalEncoder(), WORDS)], remainder="passthrough"), StandardScaler(), mlp()
    ),
    "search": lambda: GridSearchCV(Pipeline([("p", columns()), ("m", mlp())]), {"m__alpha": [0.1, 1.0]}, cv=2),
    "target scaled": lambda: TransformedTargetRegressor(make_pipeline(columns(), mlp()), transformer=StandardScaler()),
    "nested": lambda: make_pipeline(FunctionTransformer(), make_pipeline(columns(), mlp())),
    "linear": lambda: make_pipeline(columns(), LinearRegression()),
    "no intercept": lambda: make_pipeline(columns(), Lasso(fit_intercept=False)),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_with_categories_are_read(name):
    model = PIPELINES[name]().fit(HOMES, PRICE)
    network = relugrad.load_sklearn(model)
    assert {choice.name for choice in network.choices} <= {"city", "level", "day"}
    assert set(network.column_names) <= set(HOMES.columns)
    assert np.allclose(network.value(HOMES)[:, 0], model.predict(HOMES), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [LogisticRegression, MLPClassifier])
def test_classifiers_with_categories(kind):
    options = {"hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0} if kind is MLPClassifier else {}
    classes = np.where(PRICE > 300, "big", np.where(PRICE > 150, "mid", "small"))
    model = make_pipeline(columns(), kind(**options)).fit(HOMES, classes)
    network = relugrad.load_sklearn(model)
    found = np.array(network.output_names)[network.value(HOMES).argmax(axis=1)]
    assert (found == model.predict(HOMES)).all()


def test_arrays_with_categories():
    table = HOMES[["size", "city"]].to_numpy(object)
    encode = ColumnTransformer([("c", OneHotEncoder(), [1])], remainder="passthrough")
    network = relugrad.load_sklearn(make_pipeline(encode, mlp()).fit(table, PRICE))
    assert network.input_names == ("x0", "x1=Bonn", "x1=Oslo", "x1=Rome")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (KBinsDiscretizer(3), r"step 'prepare' is not affine: .*'num' \(KBinsDiscretizer\)\. It jumps"),
        (make_pipeline(StandardScaler(), PolynomialFeatures(2)), r"'num, polynomialfeatures' \(Polynomial.*\. Fit"),
        (FunctionTransformer(np.log1p), r"'num' \(FunctionTransformer\)\. Its function bends"),
        (MinMaxScaler(clip=True), r"'num' \(MinMaxScaler\)\. Take MinMaxScaler without clip"),
    ],
    ids=lambda part: type(part).__name__,
)  # fmt: skip
def test_steps_that_are_not_affine_are_named_with_what_to_do(step, message):
    prepare = ColumnTransformer([("num", step, NUMBERS), ("cat", OneHotEncoder(), WORDS)])
    model = Pipeline([("prepare", prepare), ("net", mlp())]).fit(HOMES, PRICE)
    with pytest.raises(UnsupportedOperatorError, match=message):
        relugrad.load_sklearn(model)


def test_a_number_that_depends_on_a_category_is_refused():
    def scaled_by_city(table):
        return np.stack([table["size"] * (table["city"] == "Rome"), table["age"]], axis=1).astype(float)

    union = ColumnTransformer(
        [("f", FunctionTransformer(scaled_by_city), ["size", "age", "city"]), ("c", OneHotEncoder(), WORDS)]
    )
    with pytest.raises(UnsupportedOperatorError, match=r"'f' \(FunctionTransformer\)"):
        relugrad.load_sklearn(make_pipeline(union, mlp()).fit(HOMES, PRICE))


def test_trees_are_refused():
    model = make_pipeline(columns(), RandomForestRegressor(2)).fit(HOMES, PRICE)
    with pytest.raises(UnsupportedOperatorError, match="RandomForestRegressor is made of decision trees, whose"):
        relugrad.load_sklearn(model)


def test_boosted_networks_are_not_taken_for_trees():
    model = AdaBoostRegressor(mlp(), n_estimators=1).fit(np.eye(4), np.arange(4.0))
    with pytest.raises(UnsupportedOperatorError, match=r"takes a vote of its members \(MLPRegressor\), which jumps"):
        relugrad.load_sklearn(model)


@pytest.fixture(scope="module")
def home():
    return make_pipeline(columns(), mlp()).fit(HOMES, PRICE)


def test_networks_with_categories(home):
    network = relugrad.load_sklearn(home)
    assert network.column_names == ("size", "age", "city", "level")
    assert network.choices[0] == Choice("city", ("Bonn", "Oslo", "Rome"), 2)
    assert pickle.loads(pickle.dumps(network)).choices == network.choices
    with pytest.raises(NetworkValueError, match="'city' is 'Paris', which is none of its categories"):
        network.value(HOMES.replace("Rome", "Paris"))
    with pytest.raises(NetworkValueError, match="a network with categorical inputs has no names"):
        Network(network.n_inputs, network.layers, choices=network.choices)


def test_functions_of_arrays_choose_categories(home):
    box = {"lower": {"size": 20, "age": 0}, "upper": {"size": 200, "age": 60}}
    best = relugrad.maximize(home, **box, iteration_limit=4)
    assert set(best.inputs) == {"size", "age", "city", "level"}
    assert best.outputs[0] == best.value == pytest.approx(home.predict(pandas.DataFrame([best.inputs]))[0])
    all_cities = [
        (20, age, city, level) for age in (0, 60) for city in ("Bonn", "Oslo", "Rome") for level in ("low", "mid")
    ]
    corners = pandas.DataFrame(all_cities, columns=["size", "age", "city", "level"])
    assert best.value >= home.predict(corners).max()
    rome = relugrad.minimize(
        home, **{**box, "lower": {**box["lower"], "city": "Rome"}}, start=best.inputs, iteration_limit=20
    )
    assert rome.inputs["city"] == "Rome"


def test_rows_of_a_frame_are_blocks(home):
    rows = HOMES.iloc[:3].set_axis(["a", "b", "c"])
    m = pyo.ConcreteModel()
    m.age = pyo.Var(rows.index, bounds=(0, 60))
    ages = [m.age[label] for label in rows.index]
    m.nn = relugrad.ReluNetworkBlock(rows.index, network=home, inputs=rows.assign(age=ages, level=None))
    m.sum = pyo.Objective(expr=sum(m.nn[i].outputs[0] for i in rows.index), sense=pyo.maximize)
    assert m.nn.input_frame()["city"].tolist() == [None] * 3
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=20)
    inputs, outputs = m.nn.input_frame(), m.nn.output_frame()
    assert inputs[["size", "city"]].equals(rows[["size", "city"]])
    assert set(inputs["level"]) <= {"low", "mid", "high"}
    assert list(outputs.index) == ["a", "b", "c"]
    assert np.allclose(outputs[0], home.predict(inputs))


def test_inputs_by_name_are_indexed_like_the_block(home):
    rows = HOMES.iloc[:2]
    m = pyo.ConcreteModel()
    m.age = pyo.Var(rows.index, bounds=(0, 60))
    m.b = pyo.Var(["Oslo", "Rome", "Bonn"], domain=pyo.Binary)
    inputs = {**rows, "age": m.age, "city": "Rome", "level": None}
    m.many = relugrad.ReluNetworkBlock(rows.index, network=home, inputs=inputs)
    assert m.many[1].inputs[1] is m.age[1]
    assert pyo.value(m.many[1].input_links[0].expr.arg(1)) == rows.loc[1, "size"]
    one = {"age": m.age[0], "size": 30.0, "city": m.b, "level": "low"}
    m.one = relugrad.ReluNetworkBlock(network=home, inputs=one)
    assert [m.one.inputs[place].name for place in (2, 3, 4)] == ["b[Bonn]", "b[Oslo]", "b[Rome]"]
    m.row = relugrad.ReluNetworkBlock(network=home, inputs=rows.iloc[:1])
    assert m.row.one_category["city"].body is not None


@pytest.mark.parametrize("form", ["describe", "columns", "lower and upper"])
def test_bounds_from_a_frame(home, form):
    table = HOMES[NUMBERS].describe()
    table = table.loc[["min", "max"]].T if form == "columns" else table
    table = table.rename(index={"min": "lower", "max": "upper"}) if form == "lower and upper" else table
    m = pyo.ConcreteModel()
    m.nn = relugrad.ReluNetworkBlock(network=home, input_bounds=table)
    low, high = m.nn.input_box()
    assert np.allclose(low[:2], HOMES[NUMBERS].min())
    assert np.allclose(high, [*HOMES[NUMBERS].max(), *[1.0] * 6])


REFUSALS = {
    "unknown category": ({"city": "Paris"}, "'city' is 'Paris', which is none of its categories"),
    "one variable": ({"city": pyo.Var()}, r"the input 'city' is a category: give one of 'Bonn', .*None for variables"),
    "too few binaries": ({"city": {"Rome": 1}}, "'city' is given for 'Rome': give a binary for each of 'Bonn'"),
    "missing number": ({"age": float("nan")}, r"input 1 \('age'\) is nan, no finite number: give a number, or None"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_wrong_inputs_are_refused(home, case, caplog):
    own, message = REFUSALS[case]
    m = pyo.ConcreteModel()
    m.x = pyo.Var()
    own = {key: m.x if isinstance(item, pyo.Var) else item for key, item in own.items()}
    with pytest.raises(ModelError, match=f"network block 'nn': .*{message}"):
        m.nn = relugrad.ReluNetworkBlock(
            network=home, inputs={"size": 20, "age": 3, "city": "Rome", "level": "low", **own}
        )


def test_wrong_rows_are_refused(home, caplog):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["Bonn", "Oslo", "Rome"], bounds=(0, 1))
    with pytest.raises(ModelError, match=r"'a', inputs: the data frame has 90 rows, and a block takes one: index"):
        m.a = relugrad.ReluNetworkBlock(network=home, inputs=HOMES)
    with pytest.raises(ModelError, match=r"'b\[900\]', inputs: the data frame has no row 900"):
        m.b = relugrad.ReluNetworkBlock([900], network=home, inputs=HOMES)
    with pytest.raises(ModelError, match="the data frame has 2 rows 7: give each row a label of its own"):
        m.c = relugrad.ReluNetworkBlock([7], network=home, inputs=HOMES.iloc[:2].set_axis([7, 7]))
    with pytest.raises(ModelError, match=r"nn\[0\]', inputs: .*missing 'age'; unknown 'ages' \(is 'age' meant\?\)"):
        m.nn = relugrad.ReluNetworkBlock(
            range(2), network=home, inputs={"size": 20, "ages": 3, "city": "Rome", "level": "low"}
        )
    with pytest.raises(ModelError, match=r"'x\[Bonn\]' stands for city=Bonn: give it the domain Binary"):
        m.d = relugrad.ReluNetworkBlock(network=home, inputs={"size": 20, "age": 3, "city": m.x, "level": "low"})


def test_pandas_is_needed_for_frames_alone(home, monkeypatch):
    m = pyo.ConcreteModel()
    m.nn = relugrad.ReluNetworkBlock(network=home)
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingPackageError, match=r"pandas is needed for a data frame: .*pip install pandas"):
        m.nn.input_frame()


def test_a_property_knows_no_categories(home):
    with pytest.raises(ModelError, match="has the categorical input 'city', and properties know numbers alone"):
        relugrad.find_counterexample(home, "any.vnnlib")


class TestClassRows:
    def block(self, n_scores, names=()):
        m = pyo.ConcreteModel()
        network = Network.from_layers([np.eye(n_scores, 2)], [np.zeros(n_scores)]).with_names(None, names)
        m.nn = relugrad.ReluNetworkBlock(network=network, input_bounds=(-1, 1))
        return m.nn

    @pytest.mark.parametrize("which", [1, "good"])
    def test_a_class_wins_by_a_margin(self, which):
        block = self.block(3, ("bad", "good", "best"))
        block.wins = pyo.ConstraintList(rule=block.predicts(which, margin=0.5))
        block.outputs[0].value, block.outputs[1].value, block.outputs[2].value = 0.2, 0.7, 0.4
        assert [pyo.value(row.body) for row in block.wins.values()] == pytest.approx([0.5, 0.3])
        assert [row.lower for row in block.wins.values()] == [0.5, 0.5]

    def test_one_score_tells_two_classes_apart(self):
        block = self.block(1)
        (above,), (below,) = block.predicts(1, 0.25), block.predicts(0, 0.25)
        block.outputs[0].value = 0.3
        assert pyo.value(above)
        assert not pyo.value(below)

    def test_classes_that_are_not_there(self):
        with pytest.raises(ModelError, match="there is no class 'worst': give its position, 0 to 1 or 'bad', 'good'"):
            self.block(2, ("bad", "good")).predicts("worst")
        with pytest.raises(ModelError, match="the margin is -1: give a finite number"):
            self.block(1).predicts(1, margin=-1)


def test_a_hull_of_data_with_categories_holds_what_was_seen_together(home):
    seen = HOMES[(HOMES["city"] != "Rome") | (HOMES["level"] == "low")].sample(frac=1, random_state=0)
    m = pyo.ConcreteModel()
    m.nn = relugrad.ReluNetworkBlock(network=home, inputs=dict.fromkeys(NUMBERS + WORDS))
    m.hull = relugrad.DataHull(inputs=m.nn, data=seen[[*seen.columns[::-1]]], max_points=None)
    m.price = pyo.Objective(expr=m.nn.inputs[0], sense=pyo.maximize)
    place = {name: m.nn.inputs[k] for k, name in enumerate(m.nn.network.input_names)}
    place["city=Rome"].fix(1)
    m.nn.network_equations.deactivate()
    for level, expected in (("low", seen[seen["city"] == "Rome"]["size"].max()), ("high", None)):
        place["level=low"].fix(level == "low")
        place["level=high"].fix(level == "high")
        results = pyo.SolverFactory("appsi_highs").solve(m, load_solutions=False)
        if expected is None:
            assert results.solver.termination_condition == "infeasible"
        else:
            assert results.problem.upper_bound == pytest.approx(expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HOMES.to_numpy(), "the network has categories: give the data as a frame with the columns 'size', 'age'"),
        (HOMES.drop(columns="city"), "the data have no column 'city': give the columns"),
        (
            HOMES.assign(city="Paris"),
            "the data: 'city' is 'Paris', which is none of its categories: give one of 'Bonn'",
        ),
        (HOMES.assign(size="big"), r"the data: the column 'size'\[0\] is 'big'"),
    ],
)
def test_data_that_do_not_fit_a_network_with_categories(home, data, message):
    m = pyo.ConcreteModel()
    m.nn = relugrad.ReluNetworkBlock(network=home)
    with pytest.raises(ModelError, match=f"data hull 'hull': {message}"):
        m.hull = relugrad.DataHull(inputs=m.nn, data=data)


def test_a_missing_category_is_named_by_its_column(home):
    m = pyo.ConcreteModel()
    for given, message in ((("size", "age", "level"), "missing 'city'"), ((*NUMBERS, *WORDS, "day"), "unknown 'day'")):
        with pytest.raises(ModelError, match=rf"{message}\. Give all 4 names, in any order") as error:
            m.nn = relugrad.ReluNetworkBlock(network=home, inputs=dict.fromkeys(given))
        assert "city=" not in str(error.value)
