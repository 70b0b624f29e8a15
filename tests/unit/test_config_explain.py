"""What ``oatie config explain`` knows of a key: the tables of a list, too."""

from __future__ import annotations

import pytest

from oatie_ops.config.explain import explain
from oatie_ops.errors import UsageError


def test_a_list_of_tables_tells_what_each_of_them_may_hold() -> None:
    found = explain("services.NAME.recover")
    names = [name for name, _ in found.keys]
    assert {"run", "restart", "max", "settle"} <= set(names)
    assert (found.type, found.variables) == ("list", ("OATIE_SERVICES__NAME__RECOVER",))


def test_a_key_of_such_a_table_is_found_and_its_variable_is_that_of_the_list() -> None:
    found = explain("services.db.recover.run")
    assert found.key == "services.db.recover[0].run"
    assert found.description
    assert found.variables == ("OATIE_SERVICES__DB__RECOVER",)


def test_a_list_of_values_holds_no_keys() -> None:
    assert explain("deploy.build").keys == ()
    with pytest.raises(UsageError, match="no key"):
        explain("deploy.build.first")
