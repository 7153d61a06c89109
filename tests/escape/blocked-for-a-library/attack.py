from arms import attempt


@attempt
def deed():
    import dbm

    try:
        import dbm.sqlite3 as through  # from 3.13
    except ModuleNotFoundError as error:
        if "dbm" not in str(error):
            raise
        import sqlite3 as through
    return bool(dbm) and bool(through)
