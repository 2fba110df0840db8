"""What counts as a line of code."""

from benchmarks.lines import code_lines

MODULE = '''"""A docstring
of two lines."""

# a comment
import os  # one, with a comment


class Room:
    """Of a class."""

    height = 3
    text = """a value
    of two lines"""

    def area(self) -> int:
        """Of a function.

        With more to say.
        """
        return max(
            self.height,  # one argument a line

            1,
        )
'''


def test_docstrings_comments_and_blank_lines_do_not_count_and_values_of_several_lines_do():
    # import, class, height, text (2), def, return max( ... ) without its blank line (4)
    assert code_lines(MODULE) == 10
    assert code_lines("") == 0
    assert code_lines('"""Only a docstring."""\n') == 0
    assert code_lines("def one(): return 1\n") == 1
